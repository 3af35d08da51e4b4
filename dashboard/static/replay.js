// Plays one trajectory: the page as the agent saw it, what it said, what it did, what came back. Positions are the steps and the end.

import { foreign, h, number, seconds } from "./dom.js";

const MAX_SCALE = 3; // MiniWoB++ draws on 160 x 210

/** `image(sha256)` gives an address, `moved(position)` hears of each move. Returns {body, keys}. */
export function player(replay, { image, step, moved }) {
  const end = replay.steps.length;
  const strip = h("div", { class: "strip" });
  const view = h("div", { class: "replay" });
  let position = -1;
  let allMarks = false;
  const chips = [...replay.steps.map((one, index) => chip(String(index + 1), kindOf(one), index)), chip("end", replay.outcome, end)];
  strip.append(...chips);

  function chip(text, kind, index) {
    return h("button", { class: `chip ${kind}`, title: kind, on: { click: () => move(index) } }, text);
  }

  function move(to, silent = false) {
    const next = Math.max(0, Math.min(end, Number.isInteger(to) ? to : 0));
    if (next === position) return;
    position = next;
    chips.forEach((one, index) => one.toggleAttribute("data-now", index === position));
    view.replaceChildren(...(position === end ? endView() : stepView(replay.steps[position])));
    for (const near of [position + 1, position - 1]) preload(near);
    if (!silent) moved(position);
  }

  function preload(index) {
    const seen = index === end ? replay.final_observation : replay.steps[index]?.observation;
    if (seen?.screenshot) h("img", { src: image(seen.screenshot.sha256) });
  }

  function stepView(one) {
    return [screen(one.observation, one.action, image, allMarks), h("div", { class: "side" },
      panel("Model", one.completion ? said(one.completion) : h("p", { class: "problem" }, "The model gave no answer.")),
      panel("Action", one.action ? action(one.action, one.observation.marks) : h("p", { class: "problem" }, "none: the text is no action")),
      one.feedback && panel("Feedback", foreign(one.feedback, "p", "feedback")),
      panel("Seconds", phases(one.seconds)), marks(one.observation, one.action))];
  }

  function endView() {
    const seen = replay.final_observation;
    return [seen ? screen(seen, null, image, allMarks) : h("div", { class: "screen faint" }, "The episode broke before its last page could be seen."),
      h("div", { class: "side" },
        panel("Verdict", verdict(replay.verdict)),
        replay.answer !== null && panel("Answer", foreign(replay.answer, "pre")),
        panel("Final state", foreign(replay.final_state, "pre")), seen && marks(seen, null))];
  }

  function toggleMarks() {
    allMarks = !allMarks;
    view.querySelector(".screen")?.classList.toggle("all", allMarks);
  }

  move(step, true);
  return {
    body: [strip, view],
    keys: { ArrowRight: () => move(position + 1), ArrowLeft: () => move(position - 1), Home: () => move(0), End: () => move(end), m: toggleMarks, " ": () => move(position + 1) },
  };
}

function kindOf(step) {
  if (!step.completion) return "broken";
  if (!step.action) return "fail";
  return step.feedback ? "noeffect" : "";
}

function screen(seen, done, image, allMarks) {
  const { width, height } = seen.viewport;
  const box = h("div", { class: "shot", style: { "aspect-ratio": `${width} / ${height}`, "--ratio": String(width / height), "--widest": `${width * MAX_SCALE}px` } },
    seen.screenshot ? h("img", { alt: "the page", src: image(seen.screenshot.sha256) }) : h("span", { class: "faint" }, "no picture was taken"),
    seen.marks.map((mark) => outline(mark, mark.id === done?.id, width, height)),
    done?.x !== undefined && h("i", { class: "point", style: { left: `${(done.x / width) * 100}%`, top: `${(done.y / height) * 100}%` } }));
  return h("div", { class: `screen ${allMarks ? "all" : ""}` },
    h("p", { class: "page" }, foreign(seen.title || "(no title)", "b"), foreign(seen.url, "span", "url")), box,
    !seen.settled && h("p", { class: "problem" }, "The page was still busy when this was taken."),
    seen.dialogs.map((text) => h("p", { class: "problem" }, "The page opened a dialog: ", foreign(text))),
    (seen.notices ?? []).map((text) => h("p", { class: "problem" }, "Noticed: ", foreign(text))),
    seen.tabs.length > 1 && h("details", {}, h("summary", {}, `${seen.tabs.length} tabs`),
      seen.tabs.map((tab) => h("p", { class: "page" }, foreign(tab.title || "(no title)", tab.active ? "b" : "span"), foreign(tab.url, "span", "url")))),
    seen.text && h("details", {}, h("summary", {}, "text of the page"), foreign(seen.text, "pre")));
}

function outline({ id, box }, chosen, width, height) {
  const share = (part, whole) => `${(part / whole) * 100}%`;
  return h("i", { class: chosen ? "mark chosen" : "mark", style: {
    left: share(box.x, width), top: share(box.y, height), width: share(box.width, width), height: share(box.height, height) } },
  h("span", {}, String(id)));
}

const panel = (title, ...content) => h("section", { class: "panel" }, h("h2", {}, title), ...content);

function said(completion) {
  const facts = [`${completion.tokens} tokens after ${completion.prompt_tokens}`, `mean log-probability ${number(completion.logprob_mean, 3)}`,
    `temperature ${completion.temperature}`, completion.policy_version === null ? "no policy version" : `policy v${completion.policy_version}`,
    completion.finish_reason === "length" ? "cut off at the longest length" : null];
  return [foreign(completion.text, "pre", "said"), h("small", { class: "faint" }, facts.filter(Boolean).join(" · "))];
}

function action({ kind, ...rest }, marks) {
  const target = marks.find((mark) => mark.id === rest.id);
  const values = Object.entries(rest).filter(([, value]) => value !== null).map(([name, value]) => h("span", { class: "value" }, h("small", { class: "faint" }, `${name} `), foreign(typeof value === "string" ? value : JSON.stringify(value))));
  return h("p", { class: "action" }, h("b", {}, kind), values, target && h("span", { class: "faint" }, `${target.role} `, foreign(`“${target.name}”`)));
}

function phases(found) {
  const all = Object.entries(found);
  const longest = Math.max(0.001, ...all.map(([, value]) => value));
  return h("table", { class: "phases" }, all.map(([name, value]) => h("tr", {}, h("th", {}, name), h("td", {}, seconds(value)),
    h("td", {}, h("i", { style: { width: `${(value / longest) * 100}%` } })))));
}

function marks(seen, done) {
  if (!seen.marks.length) return panel("Marks", h("p", { class: "faint" }, "none"));
  const line = (mark) => h("tr", { class: mark.id === done?.id ? "chosen" : null }, h("td", {}, String(mark.id)), h("td", { class: "faint" }, mark.role),
    h("td", {}, foreign(mark.name), mark.value ? h("span", { class: "faint" }, " = ", foreign(mark.value)) : null,
      mark.checked === null ? null : h("span", { class: "faint" }, mark.checked ? " checked" : " not checked"),
      mark.options.length ? h("div", { class: "faint" }, foreign(mark.options.join(" | "))) : null));
  return panel(`Marks (${seen.marks.length})`, h("div", { class: "scroll short" }, h("table", {}, seen.marks.map(line))));
}

function verdict(found) {
  if (!found) return h("p", { class: "faint" }, "not judged");
  const rows = [["reward", found.reward === null ? "could not be judged" : number(found.reward, 2)], ["judge", found.judge], ["evidence", found.evidence],
    ...Object.entries(found.criteria).map(([name, met]) => [name, met ? "met" : "not met"]), ...(found.blocked ? [["blocked", "yes"]] : [])];
  return h("table", { class: "config" }, rows.map(([name, value]) => h("tr", {}, foreign(name, "th"), foreign(value, "td"))));
}
