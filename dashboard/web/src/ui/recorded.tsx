// Films and trace of an episode. The first film and the steps follow one another.
import { useEffect, useRef } from "react";
import type { Replay } from "../api/types";
import { stepAt } from "./format";
import { Foreign } from "./parts";
import type { PlayerState } from "./player";

const KINDS: Record<string, string> = { video: "film ", trace: "trace ", network: "requests ", console: "console " };

/** The trajectory as a file to send around. */
export const SaveFile = ({ api }: { api: string }) => (
  <a className="button" href={`${api}/file.html`} download title="pictures inside, no scripts">
    Save as one HTML file
  </a>
);

interface Parts {
  replay: Replay;
  player: PlayerState;
  /** Where a recording is fetched. */
  address: (file: string) => string;
}

/** Films and trace of an episode. */
export function Recorded({ replay, player, address }: Parts) {
  if (!replay.recorded.length) return null;
  const first = replay.recorded.find((one) => one.kind === "video" && one.file);
  const megabytes = (size: number) => `${(size / 1e6).toFixed(size < 1e6 ? 2 : 1)}\u00a0MB`;
  return (
    <section className="panel recorded">
      <h2>Recorded</h2>
      <div className="films">
        {replay.recorded.map((one) => (
          <figure key={`${one.kind} ${one.file} ${one.problem}`}>
            {one === first && <Film src={address(one.file)} replay={replay} player={player} />}
            {one.kind === "video" && one.file && one !== first && <video src={address(one.file)} controls muted preload="metadata" />}
            <figcaption>
              <span className="faint">{KINDS[one.kind]}</span>
              {one.file && (
                <a href={address(one.file)} download={`${replay.id}.${one.file}`}>
                  {one.file}
                </a>
              )}
              {one.file && (
                <span className="faint">
                  {" "}
                  {megabytes(one.size)}
                  {one.kind === "trace" ? ", for playwright show-trace" : ""}
                </span>
              )}
              {one === first && <span className="faint">, follows the steps</span>}
              {one.problem && <Foreign text={`none: ${one.problem}`} name="problem" />}
            </figcaption>
          </figure>
        ))}
      </div>
    </section>
  );
}

/** A film that goes to the chosen step, and chooses the step that it plays. */
function Film({ src, replay, player }: { src: string; replay: Replay; player: PlayerState }) {
  const film = useRef<HTMLVideoElement>(null);
  const begins = [...replay.steps.map((step) => step.begins_at), replay.steps_end_at];
  const at = begins[player.position];
  const follow = () => {
    const video = film.current;
    if (video && stepAt(begins, video.currentTime) !== player.position) video.currentTime = Math.min(at, video.duration || at);
  };
  // Only a chosen step moves the film: one that the film has reached itself is shown by it already.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the position is the one thing that is followed
  useEffect(follow, [player.position]);
  const reached = () => {
    const video = film.current;
    if (!video || video.paused) return;
    const step = stepAt(begins, video.currentTime);
    if (step !== player.position) player.move(step);
  };
  return (
    <video
      ref={film}
      src={src}
      controls
      muted
      preload="metadata"
      aria-label="film of the episode"
      onLoadedMetadata={follow}
      onTimeUpdate={reached}
    />
  );
}
