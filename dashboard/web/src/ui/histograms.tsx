// The histograms of one policy update, as bars and as a table.
import { useMemo, useState } from "react";
import { Caption, Choice, Folded, Foreign, Table } from "./parts";
import { axisOf, type Bin, binsOf, histogramsOf, short, type Update } from "./updates";

/** The histograms of one iteration, the newest that has some unless another is chosen. */
export function Histograms({ updates }: { updates: Update[] }) {
  const [chosen, choose] = useState("");
  const found = useMemo(() => updates.filter((update) => histogramsOf(update).length > 0).reverse(), [updates]);
  const shown = found.find(({ iteration }) => String(iteration) === chosen) ?? found[0];
  if (!shown) return null;
  const all = histogramsOf(shown);
  const options = found.map(({ iteration }): [string, string] => [String(iteration), `iteration ${iteration}`]);
  return (
    <>
      <div className="filters below">
        <h3>Histograms</h3>
        <Choice name="iteration of the histograms" value={String(shown.iteration)} options={options} choose={choose} />
      </div>
      <div className="multiples">
        {all.map(([name, { title, unit, about, open }, histogram]) => (
          <figure key={name} aria-label={`${title} in iteration ${shown.iteration}; the table below has the same numbers`}>
            <Caption title={title} unit={unit} about={about} />
            <Bins bins={binsOf(histogram, open)} axis={axisOf(histogram)} />
          </figure>
        ))}
      </div>
      <Folded name={`these histograms of iteration ${shown.iteration} as a table`}>
        {() => (
          <Table columns={["histogram", "bin", "number", "share"]}>
            {all.flatMap(([name, { title, unit, open }, histogram]) => {
              const sum = totalOf(histogram.counts);
              return binsOf(histogram, open).map(({ label, count }, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: bins never move
                <tr key={`${index} ${name}`}>
                  <Foreign text={title} as="td" />
                  <td className="nowrap">{label}</td>
                  <td>
                    {count} {unit}
                  </td>
                  <td>{shareOf(count, sum)}</td>
                </tr>
              ));
            })}
          </Table>
        )}
      </Folded>
    </>
  );
}

const totalOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
const shareOf = (count: number, sum: number) => `${short((100 * count) / sum)}\u00a0%`;

/** Bars over their bins: the labels stand at the edges, so that bins may be of any width. */
function Bins({ bins, axis }: { bins: Bin[]; axis: { text: string; at: number }[] }) {
  const counts = bins.map(({ count }) => count);
  const [sum, most] = [totalOf(counts), Math.max(...counts)];
  return (
    <div className="plot bins" aria-hidden="true">
      <small className="faint">{`largest bin: ${most} of ${sum} (${shareOf(most, sum)})`}</small>
      <div className="bars">
        {bins.map(({ label, count }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: bins never move
          <span key={index} title={`${label}: ${count} (${shareOf(count, sum)})`}>
            {count > 0 && <i style={{ height: `${(100 * count) / most}%` }} />}
          </span>
        ))}
      </div>
      <div className="edges">
        {axis.map(({ text, at }) => (
          <small key={at} className="faint" style={{ left: `${at * 100}%` }}>
            {text}
          </small>
        ))}
      </div>
    </div>
  );
}
