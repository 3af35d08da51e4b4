// The frame around one replay of a run.
import { useNavigate, useParams } from "react-router";
import type { Replay, TrajectoryList } from "../api/types";
import { runTo, seconds } from "../ui/format";
import { PageLogs } from "../ui/pageLogs";
import { Badge, Fact, Foreign } from "../ui/parts";
import { Player, useAround, usePlayer } from "../ui/player";
import { Recorded, SaveFile } from "../ui/recorded";
import { Loaded, useGet, usePage } from "../ui/shell";
import { Failure, useStage } from "./trajectories";

export default function ReplayPage() {
  const { id = "" } = useParams();
  const stage = useStage();
  const around = useAround();
  const replay = useGet<Replay>(`${stage.api}/trajectories/${encodeURIComponent(id)}?around=${around}`);
  const list = useGet<TrajectoryList>(stage.list);
  return (
    <Loaded of={[replay, list]}>
      {() => <Shown key={id} replay={replay.data as Replay} ids={(list.data as TrajectoryList).rows.map((row) => row.id)} />}
    </Loaded>
  );
}

function Shown({ replay, ids }: { replay: Replay; ids: string[] }) {
  const stage = useStage();
  const navigate = useNavigate();
  const at = ids.indexOf(replay.id);
  const go = (by: number) => () => {
    if (at >= 0 && ids[at + by]) navigate(stage.replayTo(ids[at + by]));
  };
  const player = usePlayer(replay, 0);
  const api = `${stage.api}/trajectories/${encodeURIComponent(replay.id)}`;
  usePage({
    crumbs: [
      ["runs", "/"],
      [stage.run, runTo(stage.run)],
      [`iteration ${replay.iteration}, ${replay.stage}`, stage.listTo],
    ],
    title: replay.id,
    keys: { ...player.keys, ArrowDown: go(1), ArrowUp: go(-1), j: go(1), k: go(-1) },
    hints: [
      ["← →", "step"],
      ["Home End", "first, end"],
      ["↑ ↓", "trajectory"],
      ["m", "marks"],
      ["a", "after"],
      ["Esc", "up"],
    ],
  });
  return (
    <>
      <div className="heading">
        <h1>
          <Foreign text={replay.goal || replay.task.id} />
        </h1>
        <p className="facts">
          <Badge outcome={replay.outcome} />
          <Fact name="stop" value={replay.stop} />
          <Fact name="task" value={replay.task.id} />
          <Fact name="member" value={replay.member} />
          <Fact name="policy" value={replay.policy_version === null ? "–" : `v${replay.policy_version}`} />
          <Fact name="time" value={seconds(replay.seconds)} />
          {replay.attempt > 1 && <Fact name="attempt" value={replay.attempt} />}
          <SaveFile api={api} />
          {at >= 0 && <Fact name="in this list" value={`${at + 1} of ${ids.length}`} />}
        </p>
        {replay.failure && <Failure found={replay.failure} />}
      </div>
      <Player replay={replay} player={player} image={(sha256) => `${stage.api}/images/${sha256}`} api={api} />
      <Recorded replay={replay} player={player} address={(file) => `${api}/recorded/${file}`} />
      <PageLogs replay={replay} api={api} move={player.move} />
    </>
  );
}
