// The audit log: who did what.
import type { AuditLine } from "../api/types";
import { Ago, Empty, Foreign, Table } from "../ui/parts";
import { Loaded, useGet, usePage } from "../ui/shell";

export default function AuditPage() {
  const lines = useGet<AuditLine[]>("/api/audit");
  return <Loaded of={[lines]}>{() => <Shown lines={lines.data ?? []} />}</Loaded>;
}

function Shown({ lines }: { lines: AuditLine[] }) {
  usePage({ crumbs: [["system", "/system"]], title: "audit log", hints: [["Esc", "up"]] });
  return (
    <>
      <h1>Audit log</h1>
      {lines.length ? (
        <Table columns={["when", "who", "did", "to", "detail"]}>
          {lines.map((one, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line has no name of its own
            <tr key={index}>
              <td className="faint">
                <Ago at={one.at} />
              </td>
              <Foreign text={one.who} as="td" />
              <td>{one.action}</td>
              <Foreign text={one.subject} as="td" />
              <Foreign text={one.detail} as="td" />
            </tr>
          ))}
        </Table>
      ) : (
        <Empty>Nobody has changed anything yet.</Empty>
      )}
    </>
  );
}
