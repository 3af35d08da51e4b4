// Films and trace of an episode.
import type { Replay } from "../api/types";
import { Foreign } from "./parts";

const KINDS: Record<string, string> = { video: "film ", trace: "trace ", network: "requests ", console: "console " };

/** The trajectory as a file to send around. */
export const SaveFile = ({ api }: { api: string }) => (
  <a className="button" href={`${api}/file.html`} download title="pictures inside, no scripts">
    Save as one HTML file
  </a>
);

/** Films and trace of an episode; `address(file)` is where one of them is fetched. */
export function Recorded({ replay, address }: { replay: Replay; address: (file: string) => string }) {
  if (!replay.recorded.length) return null;
  const megabytes = (size: number) => `${(size / 1e6).toFixed(size < 1e6 ? 2 : 1)}\u00a0MB`;
  return (
    <section className="panel recorded">
      <h2>Recorded</h2>
      <div className="films">
        {replay.recorded.map((one) => (
          <figure key={`${one.kind} ${one.file} ${one.problem}`}>
            {one.kind === "video" && one.file && <video src={address(one.file)} controls muted preload="metadata" />}
            <figcaption>
              <span className="faint">{KINDS[one.kind]}</span>
              {one.file && (
                <a href={address(one.file)} download={`${replay.id}.${one.file}`}>
                  {one.file}
                </a>
              )}
              {one.file && (
                <span className="faint">
                  {" "}
                  {megabytes(one.size)}
                  {one.kind === "trace" ? ", for playwright show-trace" : ""}
                </span>
              )}
              {one.problem && <Foreign text={`none: ${one.problem}`} name="problem" />}
            </figcaption>
          </figure>
        ))}
      </div>
    </section>
  );
}
