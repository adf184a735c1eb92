"use strict";
// Search without a server: a page that is opened from a disk may start no worker, so the script of the search runs in a
// hidden frame that answers like one. The theme looks for `IFrameWorker` in the frame's parent.
if (window.location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "Search";
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
      inside.importScripts = async (...scripts) => {
        for (const script of scripts) await this.load(frame, script);
      };
      this.inside = inside;
      this.ready = this.load(frame, address);
    }

    load(frame, address) {
      return new Promise((resolve, reject) => {
        const script = frame.contentDocument.createElement("script");
        script.src = address;
        script.onload = resolve;
        script.onerror = () => reject(new Error(`cannot load ${address}`));
        frame.contentDocument.head.append(script);
      });
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }

    set onmessage(listener) {
      this.addEventListener("message", listener);
    }

    terminate() {}
  };
  window.Worker = window.IFrameWorker;
}
