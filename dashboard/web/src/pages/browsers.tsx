// What rollouts use: browsers with their slots and leases, and the containers of environments.
import { Link } from "react-router";
import type { Browsers, Containers } from "../api/types";
import { rolloutTo, seconds } from "../ui/format";
import { Ago, Empty, Foreign, Problems, Table, Tile } from "../ui/parts";
import { Loaded, useGet, usePage } from "../ui/shell";

const REFRESH_MS = 3000;

export default function BrowsersPage() {
  const browsers = useGet<Browsers>("/api/browsers", REFRESH_MS);
  const containers = useGet<Containers>("/api/containers", REFRESH_MS * 2);
  return (
    <Loaded of={[browsers, containers]}>
      {() => <Shown browsers={browsers.data as Browsers} containers={containers.data as Containers} />}
    </Loaded>
  );
}

function Shown({ browsers, containers }: { browsers: Browsers; containers: Containers }) {
  usePage({ title: "browsers" });
  const capacity = browsers.nodes.reduce((sum, node) => sum + node.capacity, 0);
  return (
    <>
      <h1>
        Browsers and containers <small className="faint">{browsers.browser}</small>
      </h1>
      <Problems sentences={browsers.problem ? [browsers.problem] : []} />
      {!browsers.problem && (
        <>
          <div className="tiles">
            <Tile name="slots in use" value={`${browsers.leases.length} of ${capacity}`} />
            <Tile name="waiting for a slot" value={browsers.queue} />
            <Tile name="machines" value={browsers.nodes.length} note={browsers.draining ? "gives out no leases" : undefined} />
            <Tile name="containers" value={containers.rows.length} />
          </div>
          <h2>Machines</h2>
          <Nodes nodes={browsers.nodes} />
          <h2 className="next">Leases</h2>
          <Leases leases={browsers.leases} />
        </>
      )}
      <h2 className="next">Containers</h2>
      <Problems sentences={containers.problem ? [containers.problem] : []} />
      {!containers.problem && <Rows rows={containers.rows} />}
    </>
  );
}

const Nodes = ({ nodes }: { nodes: Browsers["nodes"] }) => (
  <Table columns={["machine", "state", "free slots", "slots"]}>
    {nodes.map((node) => (
      <tr key={node.url}>
        <Foreign text={node.url || "this process"} as="td" />
        <td className={node.healthy ? "good" : "bad"}>
          {node.draining ? "draining" : node.healthy ? "up" : `no report for ${seconds(node.down_for_s)}`}
        </td>
        <td>{node.available}</td>
        <td>{node.capacity}</td>
      </tr>
    ))}
  </Table>
);

function Leases({ leases }: { leases: Browsers["leases"] }) {
  if (!leases.length) return <Empty>No browser is leased now.</Empty>;
  return (
    <Table columns={["for", "slot", "page", "steps", "age", "ends in"]}>
      {leases.map((one) => (
        <tr key={`${one.slot} ${one.owner}`}>
          <td>
            {one.rollout ? (
              <Link to={rolloutTo(one.rollout)}>
                <Foreign text={one.owner} name="short-text" />
              </Link>
            ) : (
              <Foreign text={one.owner} name="short-text" />
            )}
          </td>
          <Foreign text={one.slot || "–"} as="td" name="faint" />
          <Foreign text={one.url || "–"} as="td" name="url" />
          <td>{one.steps}</td>
          <td className="nowrap">{seconds(one.age_s)}</td>
          <td className="nowrap">{seconds(one.expires_in_s)}</td>
        </tr>
      ))}
    </Table>
  );
}

function Rows({ rows }: { rows: Containers["rows"] }) {
  if (!rows.length) return <Empty>No environment has a container on this machine now.</Empty>;
  return (
    <Table columns={["container", "image", "state", "ports", "episode", "since"]}>
      {rows.map((one) => (
        <tr key={one.name}>
          <Foreign text={one.name} as="td" />
          <Foreign text={one.image} as="td" name="faint" />
          <td className={one.state === "running" ? "good" : "bad"}>{one.status || one.state}</td>
          <td>{one.ports.join(", ") || "–"}</td>
          <Foreign text={one.episode || "–"} as="td" />
          <td className="faint nowrap">
            <Ago at={one.created_at} />
          </td>
        </tr>
      ))}
    </Table>
  );
}
