// Runs in every document before the page's own scripts, in the page's own world: notes what the page asked the browser for and
// this service refuses, one number per kind (NOTICES in session/notices.py). It tells only these numbers, so a page that
// tampers with it can have a fixed sentence said or left unsaid, and nothing else.
(() => {
  'use strict';
  const [WORKER, READ, WRITE, NOTIFY, POSITION, CAPTURE] = [0, 1, 2, 3, 4, 5];
  const { apply, getOwnPropertyDescriptor, defineProperty } = Reflect;
  const listen = EventTarget.prototype.addEventListener;
  const tell = EventTarget.prototype.dispatchEvent;
  const { Touch, TouchEvent, Promise, Set, Array } = globalThis;
  const { then } = Promise.prototype;
  let news = new Set();
  const note = (kind) => { news.add(kind); };

  // What is always refused is noted when it is asked for. What goes through in some cases (copying with a permission of the
  // host's own) is noted when the answer says so; the page gets the answer after us, and misses none.
  const asked = (kind, inner, self, given) => { note(kind); return apply(inner, self, given); };
  const answered = (kind, inner, self, given) => apply(then, apply(inner, self, given), [undefined, (error) => {
    if (error?.name === 'NotAllowedError') note(kind);
    throw error;
  }]);
  function wrap(owner, name, kind, how) {
    const property = owner && getOwnPropertyDescriptor(owner, name);
    if (typeof property?.value !== 'function') return;
    let inner = property.value;
    const { [name]: outer } = { [name](...given) { return how(kind, inner, this, given); } };
    // Whoever replaces it (the driver blocks workers so) replaces what is inside.
    defineProperty(owner, name, { configurable: true, enumerable: property.enumerable, get: () => outer, set: (other) => { inner = other; } });
  }
  wrap(globalThis.ServiceWorkerContainer?.prototype, 'register', WORKER, asked);
  for (const [name, kind] of [['read', READ], ['readText', READ], ['write', WRITE], ['writeText', WRITE]]) {
    wrap(globalThis.Clipboard?.prototype, name, kind, answered);
  }
  wrap(globalThis.Notification, 'requestPermission', NOTIFY, asked);
  for (const name of ['getCurrentPosition', 'watchPosition']) wrap(globalThis.Geolocation?.prototype, name, POSITION, asked);
  for (const name of ['getUserMedia', 'getDisplayMedia']) wrap(globalThis.MediaDevices?.prototype, name, CAPTURE, asked);

  // clipboard.js stops what scripts copy and paste without the keyboard.
  apply(listen, performance, ['__rl-loop-no-copy', () => note(WRITE)]);
  apply(listen, performance, ['__rl-loop-no-paste', () => note(READ)]);
  apply(listen, performance, ['__rl-loop-ask', () => {
    if (!news.size) return;
    const touches = Array.from(news, (identifier) => new Touch({ identifier, target: document }));
    news = new Set();
    apply(tell, performance, [new TouchEvent('__rl-loop-refused', { touches })]);
  }]);
})();
