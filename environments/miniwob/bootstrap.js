// Runs inside every served MiniWoB++ page, right after its core.js and before the task's own script.
//
// Starts the one episode of this page by itself, from the seed that the server wrote on this script's tag; tells the server
// the instruction when it starts and the raw reward when it ends. Both reports are synchronous, so that the outcome is at
// the server before the browser's click returns. There is no second episode: after the end the page stays as it is.
(function () {
  'use strict';
  const tag = document.currentScript;
  const seed = tag.dataset.seed;
  const episode = new URL('..', location.href); // http://host/episode/<token>/
  const FOREVER_MS = 2147483647; // the longest that setTimeout can wait: 24 days
  let state = 'loading'; // -> running -> over

  function report(name, body) {
    const request = new XMLHttpRequest();
    request.open('POST', new URL(name, episode), false);
    request.setRequestHeader('Content-Type', 'application/json');
    request.send(JSON.stringify(body));
  }

  function utterance() {
    const said = core.getUtterance();
    const text = typeof said === 'string' ? said : said.utterance; // some families add the fields of their template
    return String(text).replace(/\s+/g, ' ').trim();
  }

  // Tasks set their own time limit; ours can't be overwritten, so the clock never ends an episode.
  Object.defineProperty(core, 'EPISODE_MAX_TIME', { get: () => FOREVER_MS, set: () => {} });
  // The countdown would keep the page changing for ever, and the click canvas repaints on every click.
  core.countdownTimer = core.clearTimer = core.updateDisplay = core.canvasClear = core.canvasDrawClick = () => {};

  const style = document.createElement('style');
  style.textContent =
    '#reward-display, #click-canvas { display: none !important; }' +
    '*, *::before, *::after { transition: none !important; animation: none !important; }';
  document.head.appendChild(style);

  // Two mails by one person would make "the email by Ann" ambiguous, and the page accepts one of them only: no person is
  // drawn twice. An episode draws up to a dozen of 4,945 names, so few tasks differ from the original's.
  const sample = core.sample;
  const people = new Set();
  core.sample = function (list) {
    let item = sample(list);
    if (!window.ui_utils || list !== ui_utils.PEOPLE_NAMES) return item;
    while (people.has(item)) item = sample(list);
    people.add(item);
    return item;
  };

  core.startEpisode = function () {
    if (state !== 'loading') return;
    state = 'running';
    if (window.jQuery) jQuery.fx.off = true; // sliding panels would move what the agent is about to click
    core.createDisplay(); // endEpisode writes into it
    core.cover_div = document.createElement('div'); // never attached: no START overlay
    Math.seedrandom(seed);
    core.startEpisodeReal();
    report('started', { utterance: utterance() });
  };

  const endEpisode = core.endEpisode;
  core.endEpisode = function () {
    endEpisode.apply(core, arguments);
    if (state !== 'running' || !WOB_DONE_GLOBAL) return;
    state = 'over';
    report('ended', { raw_reward: WOB_RAW_REWARD_GLOBAL }); // WOB_REWARD_GLOBAL decays with time, this one does not
  };

  Math.seedrandom(seed); // for what task scripts draw while they load
})();
