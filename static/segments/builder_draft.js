// What was written and not saved outlives the page in this tab: a closed session, a wrong link, a reload.

const KEPT_MS = 24 * 3600 * 1000;

export class Draft {
  /** `place` tells forms on one page apart: their address. */
  constructor(place, name) {
    this.key = `ripen.rule:${place}:${name}`;
  }

  read() {
    try {
      const found = JSON.parse(sessionStorage.getItem(this.key));
      return found && Date.now() - found.at < KEPT_MS ? found : null;
    } catch {
      return null; // no storage, or not ours
    }
  }

  store(found) {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ ...found, at: Date.now() }));
    } catch {
      // no storage, or it is full: the page itself still has the text
    }
  }

  keep(text) {
    this.store({ text, isSent: false });
  }

  /** The form was sent: it is saved, unless we come back here from signing in. */
  sent() {
    const found = this.read();
    if (found) this.store({ ...found, isSent: true });
  }

  forget() {
    try {
      sessionStorage.removeItem(this.key);
    } catch {
      // nothing was kept
    }
  }

  /** The text that was lost on the way, null when there is none or the page has it. */
  lost(current) {
    const found = this.read();
    if (!found) return null;
    const cameFromSigningIn = document.referrer !== "" && new URL(document.referrer).pathname.endsWith("/login/");
    const isLost = found.text.trim() !== current.trim() && (!found.isSent || cameFromSigningIn);
    if (!isLost) this.forget();
    return isLost ? found.text : null;
  }
}
