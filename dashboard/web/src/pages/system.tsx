// State of the server and what it needs: database, worker, browsers; the environments and models that can be chosen.
import { Link } from "react-router";
import type { Disk, Environment, Health, Model, Stats } from "../api/types";
import { sizeOf } from "../ui/format";
import { For } from "../ui/me";
import { Foreign, Table, Tile } from "../ui/parts";
import { Loaded, useGet, usePage } from "../ui/shell";

export default function SystemPage() {
  const health = useGet<Health>("/health", 5000);
  const stats = useGet<Stats>("/api/compute/stats", 5000);
  const environments = useGet<Environment[]>("/api/environments");
  const models = useGet<Model[]>("/api/models");
  const disk = useGet<Disk[]>("/api/disk");
  return (
    <Loaded of={[health, stats, environments, models, disk]}>
      {() => (
        <Shown
          health={health.data as Health}
          stats={stats.data as Stats}
          environments={environments.data ?? []}
          models={models.data ?? []}
          disk={disk.data ?? []}
        />
      )}
    </Loaded>
  );
}

interface Parts {
  health: Health;
  stats: Stats;
  environments: Environment[];
  models: Model[];
  disk: Disk[];
}

function Shown({ health, stats, environments, models, disk }: Parts) {
  usePage({ title: "system" });
  const parts = [
    ["database", health.database],
    ["worker", health.worker],
    ["browsers", health.browsers],
  ];
  return (
    <>
      <h1>System</h1>
      <div className="tiles">
        <Tile name="state" value={health.status} />
        <Tile name="slots in use" value={`${stats.in_progress} of ${stats.max_workers}`} />
        <Tile name="waiting" value={stats.pending} />
        <Tile name="free disk" value={sizeOf(stats.free_bytes)} />
      </div>
      <Table columns={["part", "state"]}>
        {parts.map(([name, state]) => (
          <tr key={name}>
            <td>{name}</td>
            <td className={state === "ok" ? "good" : "bad"}>
              <Foreign text={state} />
            </td>
          </tr>
        ))}
      </Table>
      <For least="admin">
        <p className="facts">
          <Link to="/users">Users</Link> <Link to="/audit">Audit log</Link>
        </p>
      </For>
      <h2>Disk</h2>
      <Sizes disk={disk} />
      <h2>Environments</h2>
      <Table columns={["name", "kind", "default"]}>
        {environments.map((one) => (
          <tr key={one.name}>
            <td>{one.name}</td>
            <td>{one.kind}</td>
            <td>{one.default ? "yes" : ""}</td>
          </tr>
        ))}
      </Table>
      <h2>Models</h2>
      <Table columns={["name", "kind", "model", "usable here"]}>
        {models.map((one) => (
          <tr key={one.name}>
            <td>
              {one.name}
              {one.default ? " (default)" : ""}
            </td>
            <td>{one.kind}</td>
            <td>{one.model || "–"}</td>
            <td className={one.problem ? "faint" : "good"}>{one.problem || "yes"}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

const Sizes = ({ disk }: { disk: Disk[] }) => (
  <Table columns={["folder", "size", "pictures", "films, traces, requests"]}>
    {disk.map((one) => (
      <tr key={`${one.kind} ${one.name}`}>
        <td>
          {one.kind === "run" ? "run " : "rollouts "}
          <Foreign text={one.name} />
        </td>
        <td>{sizeOf(one.bytes)}</td>
        <td>{sizeOf(one.pictures)}</td>
        <td>{sizeOf(one.recordings)}</td>
      </tr>
    ))}
  </Table>
);
