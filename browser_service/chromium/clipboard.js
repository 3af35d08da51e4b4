// Runs first in every document. One Chromium has one clipboard for all its sessions, so only the keyboard of a session,
// which the service knows about, may copy into it or paste from it: see clipboard.py.
(() => {
  const CHORD_MS = 1000;
  let copied = -Infinity;
  let pasted = -Infinity;

  const listen = (name, listener) => addEventListener(name, listener, { capture: true });
  const refuse = (event, told) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    performance.dispatchEvent(new Event(told));  // see page/refusals.js
  };

  listen("keydown", (event) => {
    if (!event.isTrusted) return;
    const key = event.key.toLowerCase();
    const control = event.ctrlKey || event.metaKey;
    if ((control && (key === "c" || key === "x" || key === "insert")) || (event.shiftKey && key === "delete")) copied = performance.now();
    if ((control && key === "v") || (event.shiftKey && key === "insert")) pasted = performance.now();
  });

  const selectsSomething = () => {
    const field = document.activeElement;
    if (field && (field.localName === "input" || field.localName === "textarea")) {
      try { return field.selectionStart !== field.selectionEnd; } catch { return true; }
    }
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed;
  };

  const copy = (event) => {
    if (!event.isTrusted) return;
    if (performance.now() - copied > CHORD_MS) { refuse(event, '__rl-loop-no-copy'); return; }
    if (!selectsSomething()) {  // nothing would be written, and what another session left would stay
      event.clipboardData.setData("text/plain", "");
      event.preventDefault();
    }
  };
  listen("copy", copy);
  listen("cut", copy);
  listen("paste", (event) => {  // a middle click pastes too: what was selected last, in whatever session
    if (event.isTrusted && performance.now() - pasted > CHORD_MS) refuse(event, '__rl-loop-no-paste');
  });
})();
