// Runs in every document before the page's own scripts, in the page's own world: only there can be seen which elements
// the page listens to. It knows nothing else, and tells only that, so a page that tampers with it deceives nobody but
// those who would click on it. The answer goes through `performance`, the one object that both worlds have for the life of
// a document, as the targets of touches that never were: these are the same nodes in either world, in shadow trees too.
(() => {
  'use strict';
  const CLICKS = new Set(['click', 'mousedown', 'mouseup', 'pointerdown', 'pointerup', 'dblclick', 'touchstart']);
  const { apply, getOwnPropertyDescriptor, defineProperty } = Reflect;
  const listen = EventTarget.prototype.addEventListener;
  const tell = EventTarget.prototype.dispatchEvent;
  const { Element, Touch, TouchEvent, WeakRef } = globalThis;
  const listening = new WeakSet();
  const handling = new WeakSet();
  let news = [];

  EventTarget.prototype.addEventListener = function addEventListener(type, listener, options) {
    if (CLICKS.has(type) && listener && this instanceof Element && !listening.has(this)) {
      listening.add(this);
      news.push(new WeakRef(this));
    }
    return apply(listen, this, [type, listener, options]);
  };
  for (const prototype of [HTMLElement.prototype, SVGElement.prototype]) {
    for (const type of CLICKS) {
      const name = `on${type}`;
      const property = getOwnPropertyDescriptor(prototype, name);
      if (!property) continue; // touch handlers, where there is no touch screen
      // One setter per property, named as the page would find it named.
      const { [name]: set } = { [name](handler) {
        apply(property.set, this, [handler]);
        if (typeof handler === 'function') handling.add(this);
        else handling.delete(this);
        news.push(new WeakRef(this));
      } };
      defineProperty(prototype, name, { ...property, set });
    }
  }

  // No script can ask a host for its closed shadow root later.
  const attach = Element.prototype.attachShadow;
  let roots = [];
  Element.prototype.attachShadow = function attachShadow(options) {
    const root = apply(attach, this, [options]);
    if (options?.mode === 'closed') roots.push(new WeakRef(root));
    return root;
  };

  // Timers that are set in answer to input, up to a second: suggestions that wait for a pause in the typing. Timers that such
  // a timer sets count too, twice over; one that sets itself again for ever does not hold anybody up.
  const { setTimeout: later, clearTimeout: cancel, Map, Math: { max } } = globalThis;
  const now = performance.now.bind(performance);
  const INPUTS = ['keydown', 'keyup', 'beforeinput', 'input', 'change', 'click', 'pointerdown', 'pointerup', 'mousedown', 'mouseup', 'focusin'];
  const LONGEST = 1000, DEEPEST = 2;
  const pending = new Map();
  let depth = -1; // of what runs now: 0 in answer to input, 1 in a timer of that; -1: neither
  for (const type of INPUTS) {
    apply(listen, window, [type, (event) => {
      if (!event.isTrusted || depth === 0) return;
      depth = 0;
      apply(later, window, [() => { depth = -1; }, 0]);
    }, { capture: true, passive: true }]);
  }
  window.setTimeout = function setTimeout(handler, delay, ...rest) {
    const level = depth;
    if (level < 0 || level >= DEEPEST || !(delay > 0 && delay <= LONGEST) || typeof handler !== 'function') {
      return apply(later, this, arguments);
    }
    const run = (...given) => {
      pending.delete(id);
      const before = depth;
      depth = level + 1;
      try { apply(handler, window, given); } finally { depth = before; }
    };
    const id = apply(later, this, [run, delay, ...rest]);
    if (pending.size < 500) pending.set(id, now() + delay);
    return id;
  };
  window.clearTimeout = function clearTimeout(id) {
    pending.delete(id);
    return apply(cancel, this, [id]);
  };
  function lastTimer() {
    let last = 0;
    for (const due of pending.values()) last = max(last, due);
    return last;
  }

  apply(listen, performance, ['__rl-loop-ask', () => {
    const elements = news.map((ref) => ref.deref()).filter(Boolean);
    news = [];
    const timer = new Touch({ identifier: 0, target: document, clientX: lastTimer() });
    apply(tell, performance, [new TouchEvent('__rl-loop-timer', { touches: [timer] })]);
    send('__rl-loop-root', roots.map((ref) => ref.deref()).filter(Boolean));
    roots = [];
    const isHeard = (el) => listening.has(el) || handling.has(el);
    send('__rl-loop-heard', elements.filter(isHeard));
    send('__rl-loop-not', elements.filter((el) => !isHeard(el)));
  }]);
  function send(name, elements) {
    const touches = elements.map((target, identifier) => new Touch({ identifier, target }));
    if (touches.length) apply(tell, performance, [new TouchEvent(name, { touches })]);
  }
})();
