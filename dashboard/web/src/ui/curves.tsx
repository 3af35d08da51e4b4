// Success by iteration. A click on a point opens the episodes behind it.
import { CartesianGrid, Legend, Line, LineChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { IterationView } from "../api/types";

const LINES = [
  ["heldout_success", "held-out success", "var(--good)", "evaluate"],
  ["train_success", "train success", "var(--accent)", "rollout"],
] as const;

export default function Curves({ table, open }: { table: IterationView[]; open: (iteration: number, stage: string) => void }) {
  return (
    <figure className="chart" aria-label="Success by iteration; the table below has the same numbers">
      <ResponsiveContainer>
        <LineChart data={table} margin={{ top: 5, right: 20, bottom: 0, left: 0 }} accessibilityLayer={false}>
          <CartesianGrid stroke="var(--line)" />
          <XAxis dataKey="iteration" stroke="var(--faint)" allowDecimals={false} />
          <YAxis domain={[0, 1]} stroke="var(--faint)" tickFormatter={(rate: number) => `${Math.round(rate * 100)} %`} />
          <Tooltip formatter={(rate) => `${Math.round(Number(rate) * 100)} %`} labelFormatter={(iteration) => `iteration ${iteration}`} />
          <Legend />
          {LINES.map(([key, name, color, stage]) => (
            <Line
              key={key}
              dataKey={key}
              name={name}
              stroke={color}
              strokeWidth={2}
              isAnimationActive={false}
              connectNulls
              dot={{ r: 4, cursor: "pointer" }}
              activeDot={{
                r: 6,
                cursor: "pointer",
                onClick: (_, point) => open(table[(point as unknown as { index: number }).index].iteration, stage),
              }}
            />
          ))}
        </LineChart>
      </ResponsiveContainer>
    </figure>
  );
}
