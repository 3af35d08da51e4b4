// Success by a column. A click on a bar opens its rollouts.
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { GroupView } from "../api/types";

export default function Bars({ groups, open }: { groups: GroupView[]; open?: (key: string) => void }) {
  const data = groups.filter((one) => one.success_rate !== null).slice(0, 30);
  if (!data.length) return null;
  return (
    <figure className="chart" aria-label="Success; the table below has the same numbers">
      <ResponsiveContainer>
        <BarChart data={data} margin={{ top: 5, right: 20, bottom: 0, left: 0 }} accessibilityLayer={false}>
          <CartesianGrid stroke="var(--line)" vertical={false} />
          <XAxis dataKey="key" stroke="var(--faint)" />
          <YAxis domain={[0, 1]} stroke="var(--faint)" tickFormatter={(rate: number) => `${Math.round(rate * 100)} %`} />
          <Tooltip formatter={(rate) => `${Math.round(Number(rate) * 100)} %`} cursor={{ fill: "transparent" }} />
          <Bar
            dataKey="success_rate"
            name="success"
            fill="var(--accent)"
            isAnimationActive={false}
            maxBarSize={60}
            cursor={open ? "pointer" : "default"}
            onClick={(_, index) => open?.(data[index].key)}
          />
        </BarChart>
      </ResponsiveContainer>
    </figure>
  );
}
