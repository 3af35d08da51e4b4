// One observation: the page as the agent saw it, and its marks.
import type { CSSProperties, ReactNode } from "react";
import type { Action, Mark, Observation } from "../api/types";
import { Foreign, Panel } from "./parts";

const MAX_SCALE = 3; // MiniWoB++ draws on 160 x 210
export type ImageAddress = (sha256: string) => string;

export const idOf = (action: Action | null | undefined) => (action && "id" in action ? (action.id as number) : undefined);

/** The page as it was seen, with the outline of what was chosen and the point of a click. `all`: outlines of all marks. */
export function Screen({
  seen,
  done,
  image,
  all,
  head,
}: {
  seen: Observation;
  done: Action | null | undefined;
  image: ImageAddress;
  all: boolean;
  head?: ReactNode;
}) {
  const { width, height } = seen.viewport;
  const box = {
    aspectRatio: `${width} / ${height}`,
    "--ratio": String(width / height),
    "--widest": `${width * MAX_SCALE}px`,
  } as CSSProperties;
  const share = (part: number, whole: number) => `${(part / whole) * 100}%`;
  const point = done && "x" in done && "y" in done ? { left: share(Number(done.x), width), top: share(Number(done.y), height) } : null;
  return (
    <div className={`screen ${all ? "all" : ""}`}>
      {head}
      <p className="page">
        <Foreign text={seen.title || "(no title)"} as="b" />
        <Foreign text={seen.url} name="url" />
      </p>
      <div className="shot" style={box}>
        {seen.screenshot ? <img alt="the page" src={image(seen.screenshot.sha256)} /> : <span className="faint">no picture was taken</span>}
        {seen.marks.map((mark) => (
          <Outline key={mark.id} mark={mark} chosen={mark.id === idOf(done)} width={width} height={height} />
        ))}
        {point && <i className="point" style={point} />}
      </div>
      {!seen.settled && <p className="problem">The page was still busy when this was taken.</p>}
      {seen.dialogs.map((text) => (
        <p key={text} className="problem">
          The page opened a dialog: <Foreign text={text} />
        </p>
      ))}
      {(seen.notices ?? []).map((text) => (
        <p key={text} className="problem">
          Noticed: <Foreign text={text} />
        </p>
      ))}
      {seen.tabs.length > 1 && (
        <details>
          <summary>{seen.tabs.length} tabs</summary>
          {seen.tabs.map((tab, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: tabs have no name of their own
            <p key={index} className="page">
              <Foreign text={tab.title || "(no title)"} as={tab.active ? "b" : "span"} />
              <Foreign text={tab.url} name="url" />
            </p>
          ))}
        </details>
      )}
      {seen.text && (
        <details>
          <summary>text of the page</summary>
          <Foreign text={seen.text} as="pre" />
        </details>
      )}
    </div>
  );
}

function Outline({ mark: { id, box }, chosen, width, height }: { mark: Mark; chosen: boolean; width: number; height: number }) {
  const share = (part: number, whole: number) => `${(part / whole) * 100}%`;
  return (
    <i
      className={chosen ? "mark chosen" : "mark"}
      style={{ left: share(box.x, width), top: share(box.y, height), width: share(box.width, width), height: share(box.height, height) }}
    >
      <span>{id}</span>
    </i>
  );
}

/** The marks that the agent could choose. */
export function Marks({ seen, done }: { seen: Observation; done: Action | null | undefined }) {
  if (!seen.marks.length)
    return (
      <Panel title="Marks">
        <p className="faint">none</p>
      </Panel>
    );
  return (
    <Panel title={`Marks (${seen.marks.length})`}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys */}
      <section className="scroll short" tabIndex={0} aria-label="marks">
        <table>
          <tbody>
            {seen.marks.map((mark) => (
              <tr key={mark.id} className={mark.id === idOf(done) ? "chosen" : undefined}>
                <td>{mark.id}</td>
                <td className="faint">{mark.role}</td>
                <td>
                  <Foreign text={mark.name} />
                  {mark.value ? (
                    <span className="faint">
                      {" "}
                      = <Foreign text={mark.value} />
                    </span>
                  ) : null}
                  {mark.checked === null ? null : <span className="faint">{mark.checked ? " checked" : " not checked"}</span>}
                  {mark.options.length ? (
                    <div className="faint">
                      <Foreign text={mark.options.join(" | ")} />
                    </div>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  );
}
