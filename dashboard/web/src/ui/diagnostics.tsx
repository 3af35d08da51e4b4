// The policy updates of a run: alarms, a small chart per diagnostic, all numbers as a table, histograms.
import { useMemo } from "react";
import { Histograms } from "./histograms";
import { Caption, Folded, Foreign, Table } from "./parts";
import { Plot } from "./plot";
import { type Chart, chartsOf, colorOf, metricsOf, short, type Update } from "./updates";

const MOST_ALARMS = 5;
export function Diagnostics({ updates }: { updates: Update[] }) {
  const charts = useMemo(() => chartsOf(updates), [updates]);
  const iterations = useMemo(() => updates.map(({ iteration }) => iteration), [updates]);
  return (
    <section className="diagnostics" aria-labelledby="diagnostics">
      <h2 id="diagnostics">Policy update</h2>
      <Alarms updates={updates} />
      {charts.length > 0 && (
        <>
          <div className="multiples">
            {charts.map((chart) => (
              <figure key={chart.title} aria-label={`${chart.title} by iteration; the table below has the same numbers`}>
                <Caption title={chart.title} unit={chart.unit} about={chart.about}>
                  <Legend chart={chart} />
                </Caption>
                <Plot chart={chart} iterations={iterations} />
              </figure>
            ))}
          </div>
          <Numbers updates={updates} />
        </>
      )}
      <Histograms updates={updates} />
    </section>
  );
}

/** The alarms of all iterations, the newest first. */
function Alarms({ updates }: { updates: Update[] }) {
  const lines = [...updates]
    .reverse()
    .flatMap(({ iteration, alarms }) => alarms.map((sentence) => ({ iteration, sentence })))
    .map(({ iteration, sentence }, index) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: an iteration may have one sentence twice
      <li key={index} className="problem">
        iteration {iteration}: <Foreign text={sentence} />
      </li>
    ));
  if (!lines.length) return null;
  return (
    <>
      <ul className="alarms" aria-label="alarms">
        {lines.slice(0, MOST_ALARMS)}
      </ul>
      {lines.length > MOST_ALARMS && (
        <details>
          <summary>{lines.length - MOST_ALARMS} earlier alarms</summary>
          <ul className="alarms" aria-label="earlier alarms">
            {lines.slice(MOST_ALARMS)}
          </ul>
        </details>
      )}
    </>
  );
}

function Legend({ chart }: { chart: Chart }) {
  if (chart.series.length < 2 && chart.kind === "lines") return null;
  return (
    <p className="legend">
      {chart.series.map((one, index) => (
        <span key={one.metric}>
          <i className={chart.kind === "stack" ? "block" : index ? "dashed" : ""} style={{ color: colorOf(chart, one, index) }} />
          <Foreign text={one.name} />
        </span>
      ))}
    </p>
  );
}

function Numbers({ updates }: { updates: Update[] }) {
  const names = useMemo(() => metricsOf(updates), [updates]);
  return (
    <Folded name={`all numbers of ${updates.length} policy updates`}>
      {() => (
        <Table columns={["#", "samples", ...names.map((name) => <Foreign key={name} text={name} />)]}>
          {[...updates].reverse().map(({ iteration, samples, metrics }) => (
            <tr key={iteration}>
              <td>{iteration}</td>
              {[samples, ...names.map((name) => metrics[name])].map((value, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns never move
                <td key={index}>{exact(value)}</td>
              ))}
            </tr>
          ))}
        </Table>
      )}
    </Folded>
  );
}

const exact = (value: number | null | undefined) =>
  value === null || value === undefined ? "–" : Number.isInteger(value) ? String(value) : short(value);
