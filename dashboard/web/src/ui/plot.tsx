// A small chart over iterations: lines with a band, or stacked bars. The numbers of the iteration under the pointer are written.
import { type PointerEvent, useMemo, useState } from "react";
import { across, bandOf, dotsOf, labelsOf, linear, lineOf, logarithmic, type Scale, stackOf } from "./drawing";
import { Foreign } from "./parts";
import { type Chart, colorOf } from "./updates";

export function Plot({ chart, iterations }: { chart: Chart; iterations: number[] }) {
  const [pointed, point] = useState<number | null>(null);
  const scale = useMemo(() => scaleOf(chart), [chart]);
  const labels = useMemo(() => labelsOf(iterations), [iterations]);
  const move = (event: PointerEvent<HTMLElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const index = Math.floor(((event.clientX - left) / width) * iterations.length);
    point(Math.max(0, Math.min(iterations.length - 1, index)));
  };
  return (
    <div className="plot lined" aria-hidden="true">
      <div className="levels">
        {scale.ticks.map((tick) => (
          <small key={tick} className="faint" style={{ bottom: `${100 * scale.place(tick)}%` }}>
            {chart.write(tick)}
          </small>
        ))}
      </div>
      <div className="area" onPointerMove={move} onPointerDown={move} onPointerLeave={() => point(null)}>
        <Drawn chart={chart} scale={scale} />
        {pointed !== null && iterations[pointed] !== undefined && <Reading chart={chart} iterations={iterations} index={pointed} />}
      </div>
      <div className="edges">
        {labels.map(({ text, at }) => (
          <small key={text} className="faint" style={{ left: `${100 * at}%` }}>
            {text}
          </small>
        ))}
      </div>
    </div>
  );
}

function scaleOf({ series, band, kind, log }: Chart): Scale {
  if (kind === "stack") {
    return linear(
      series[0].values.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0)),
      true,
    );
  }
  const values = series.flatMap((one) => one.values.filter((value) => value !== null));
  return log ? logarithmic(values) : linear([...values, ...(band ?? []).flatMap((ends) => ends ?? [])]);
}

function Drawn({ chart, scale }: { chart: Chart; scale: Scale }) {
  const { series, band } = chart;
  const paths = useMemo(() => {
    if (chart.kind === "lines") return chart.series.map(({ values }) => [lineOf(values, scale), dotsOf(values, scale)]);
    return stackOf(
      chart.series.map(({ values }) => values),
      scale,
    ).map((bars) => [bars]);
  }, [chart, scale]);
  return (
    <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
      {scale.ticks.map((tick) => (
        <path key={tick} className="level" d={`M0 ${100 - 100 * scale.place(tick)}H100`} />
      ))}
      {band && <path className="band" d={bandOf(band, scale)} />}
      {paths.map(([drawn, dots], index) => {
        const color = colorOf(chart, series[index], index);
        return dots === undefined ? (
          <path key={series[index].metric} className="bars" d={drawn} style={{ fill: color }} />
        ) : (
          <g key={series[index].metric} style={{ stroke: color }}>
            <path className={index ? "line dashed" : "line"} d={drawn} />
            <path className="dots" d={dots} />
          </g>
        );
      })}
    </svg>
  );
}

/** The numbers of one iteration. */
function Reading({ chart, iterations, index }: { chart: Chart; iterations: number[]; index: number }) {
  const at = across(index, iterations.length);
  const spread = chart.band?.[index];
  const lines = chart.series.flatMap(({ name, metric, values }) => {
    const value = values[index];
    return value === null ? [] : [{ name, metric, value }];
  });
  return (
    <>
      <i className="pointed" style={{ left: `${100 * at}%` }} />
      <div className="reading" style={at < 0.5 ? { left: `${100 * at + 3}%` } : { right: `${103 - 100 * at}%` }}>
        <b>iteration {iterations[index]}</b>
        {lines.map(({ name, metric, value }) => (
          <span key={metric}>
            <Foreign text={name} /> {chart.write(value)}
          </span>
        ))}
        {spread && <span>± {chart.write((spread[1] - spread[0]) / 2)}</span>}
        {!lines.length && <span>–</span>}
      </div>
    </>
  );
}
