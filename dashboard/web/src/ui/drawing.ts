// The geometry of small charts: levels of an axis, and lines, dots, bands and bars as SVG paths in a square of 100 by 100.
//
// Drawn by hand: a chart of recharts costs 30 to 80 ms, and a run has fourteen.

/** An axis: its levels, and the place of a value from 0 to 1. */
export interface Scale {
  ticks: number[];
  place: (value: number) => number;
}
type Values = (number | null)[];

const LEVELS = 4;
const STEPS = [1, 2, 2.5, 5, 10];
/** A logarithmic axis has no 0: smaller values stand here. */
const FLOOR = 1e-9;
/** Lines of so many points have a dot at each. */
const FEW = 40;

/** Levels at round numbers, with 0. */
export function linear(values: number[], isWhole = false): Scale {
  const low = Math.min(0, least(values));
  const high = Math.max(0, most(values)) || (low < 0 ? 0 : 1);
  const rough = (high - low) / LEVELS;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const round = unit * (STEPS.find((step) => step * unit >= rough * (1 - 1e-9)) ?? 10);
  const step = isWhole ? Math.ceil(round) : round;
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
  return { ticks, place: (value) => (value / step - first) / (last - first) };
}

/** At most five levels at powers of ten. */
export function logarithmic(values: number[]): Scale {
  const size = (value: number) => Math.log10(Math.max(value, FLOOR));
  const low = Math.floor(size(least(values)));
  const high = Math.max(low + 1, Math.ceil(size(most(values))));
  const step = Math.ceil((high - low) / LEVELS);
  const ticks = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, index) => Number(`1e${low + index * step}`));
  return { ticks, place: (value) => (size(value) - low) / (high - low) };
}

const least = (values: number[]) => values.reduce((a, b) => Math.min(a, b));
const most = (values: number[]) => values.reduce((a, b) => Math.max(a, b));

/** The place of a point from 0 to 1: each has a slot of the same width. */
export const across = (index: number, count: number) => (index + 0.5) / count;

const digits = (share: number) => Number((100 * share).toFixed(3));
const down = (scale: Scale, value: number) => digits(1 - scale.place(value));

/** A line that is interrupted where there is no value. */
export function lineOf(values: Values, scale: Scale): string {
  let pen = "M";
  return values
    .map((value, index) => {
      const drawn = value === null ? "" : `${pen}${digits(across(index, values.length))} ${down(scale, value)}`;
      pen = value === null ? "M" : "L";
      return drawn;
    })
    .join("");
}

/** Lines without length, which round ends make dots: of a short line all points, of a long one those that no line reaches. */
export function dotsOf(values: Values, scale: Scale): string {
  const isAlone = (index: number) => (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
  return values
    .map((value, index) =>
      value !== null && (values.length <= FEW || isAlone(index)) ? `M${digits(across(index, values.length))} ${down(scale, value)}h0` : "",
    )
    .join("");
}

/** The area between two lines. */
export function bandOf(band: ([number, number] | null)[], scale: Scale): string {
  const x = (index: number) => digits(across(index, band.length));
  return band
    .map((here, index) => {
      const next = band[index + 1];
      if (!here || !next) return "";
      const [a, b, c, d] = [here[0], here[1], next[1], next[0]].map((value) => down(scale, value));
      return `M${x(index)} ${a}V${b}L${x(index + 1)} ${c}V${d}Z`;
    })
    .join("");
}

/** Bars on top of those of the series before. */
export function stackOf(series: Values[], scale: Scale): string[] {
  const sums = (series[0] ?? []).map(() => 0);
  const half = sums.length > FEW ? 0.5 : 0.38;
  return series.map((values) =>
    values
      .map((value, index) => {
        if (!value) return "";
        const [left, right] = [-half, half].map((by) => digits(across(index + by, values.length)));
        const below = sums[index];
        sums[index] += value;
        return `M${left} ${down(scale, below)}V${down(scale, sums[index])}H${right}V${down(scale, below)}Z`;
      })
      .join(""),
  );
}

/** At most seven labels of iterations, at round numbers where there are such. */
export function labelsOf(iterations: number[]): { text: string; at: number }[] {
  const range = iterations[iterations.length - 1] - iterations[0] + 1;
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(range / 6)));
  const step = unit * ([1, 2, 5].find((one) => one * unit * 6 >= range) ?? 10);
  const labels = iterations.map((iteration, index) => ({ iteration, text: String(iteration), at: across(index, iterations.length) }));
  const round = labels.filter(({ iteration }) => iteration % step === 0);
  return (round.length ? round : labels.slice(0, 1)).map(({ text, at }) => ({ text, at }));
}
