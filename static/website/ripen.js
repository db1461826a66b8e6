// Notes visits on websites of the company. No cookie: a number made up here lies in the website's own storage, once the visitor agreed.
(function () {
  "use strict";
  const settings = RIPEN_SETTINGS;
  const VISITOR = "ripen.visitor", CONSENT = "ripen.consent", PROOF = "ripen";
  const memory = {};
  let proof = "", started = false, last = "";

  function kept(key) {
    try { return localStorage.getItem(key); } catch (error) { return memory[key] || null; }
  }
  function keep(key, value) {
    memory[key] = value;
    try { localStorage.setItem(key, value); } catch (error) { /* storage is closed: this page only */ }
  }
  function forget(key) {
    delete memory[key];
    try { localStorage.removeItem(key); } catch (error) { /* nothing lies there */ }
  }
  function refuses() {
    return navigator.globalPrivacyControl === true || navigator.doNotTrack === "1";
  }
  function number() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
  function visitor() {
    if (!kept(VISITOR)) keep(VISITOR, number());
    return kept(VISITOR);
  }
  function send(door, document_) {
    return fetch(settings.base + door, {
      method: "POST", mode: "cors", credentials: "omit", keepalive: true, referrerPolicy: "no-referrer",
      headers: { "Content-Type": "text/plain" }, body: JSON.stringify(document_),
    });
  }

  // What a mail's link brought along leaves the address at once, so that nobody passes it on.
  function takeProof() {
    const here = new URL(location.href);
    if (!here.searchParams.has(PROOF)) return;
    proof = here.searchParams.get(PROOF);
    const rest = here.search.slice(1).split("&").filter((part) => part.split("=")[0] !== PROOF).join("&");
    history.replaceState(history.state, "", here.pathname + (rest ? "?" + rest : "") + here.hash);
  }
  function see() {
    const here = location.origin + location.pathname + location.search;
    if (!started || here === last) return;
    const referrer = last || document.referrer;
    last = here;
    const said = { visitor: visitor(), url: here, title: document.title, referrer: referrer, proof: proof };
    proof = "";
    send("visit", said)
      .then((response) => (response.status === 200 ? response.json() : {}))
      .then((answer) => { if (started && answer.visitor) keep(VISITOR, answer.visitor); })
      .catch(() => {});
  }
  function start() {
    if (started || !settings.isOn || refuses()) return;
    started = true;
    see();
  }

  // A form of the website: <form data-ripen="newsletter" data-ripen-name="Footer"> with a field of type e-mail. It goes its own way, too.
  function formSent(event) {
    const form = event.target;
    if (!settings.isOn || !(form instanceof HTMLFormElement) || !form.dataset.ripen) return;
    const field = form.querySelector("input[type=email]");
    if (!field || !field.value) return;
    send("ask", {
      address: field.value, purposes: form.dataset.ripen.split(/[\s,]+/).filter(Boolean), form: form.dataset.ripenName || form.id || "form",
      visitor: started ? visitor() : "", url: location.origin + location.pathname, language: document.documentElement.lang,
    })
      .then((response) => { form.dispatchEvent(new CustomEvent(response.ok ? "ripen:asked" : "ripen:refused", { bubbles: true })); })
      .catch(() => { form.dispatchEvent(new CustomEvent("ripen:refused", { bubbles: true })); });
  }

  // ripen("consent", true) when the visitor agreed; ripen("consent", false) takes it back and forgets the number.
  window.ripen = function (verb, value) {
    if (verb !== "consent") return;
    if (value) {
      keep(CONSENT, "yes");
      start();
    } else {
      started = false;
      forget(CONSENT);
      forget(VISITOR);
    }
  };

  takeProof();
  document.addEventListener("submit", formSent);
  for (const verb of ["pushState", "replaceState"]) {
    const plain = history[verb];
    history[verb] = function (...values) {
      plain.apply(this, values);
      setTimeout(see, 0); // the page sets its title after it has changed the address
    };
  }
  addEventListener("popstate", () => setTimeout(see, 0));
  const begin = () => { if (!settings.waits || kept(CONSENT) === "yes") start(); };
  if (document.prerendering) document.addEventListener("prerenderingchange", begin, { once: true });
  else begin();
})();
