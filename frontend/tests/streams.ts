// Server-sent events without a server: a test says what a stream brings and how it breaks.

import { vi } from "vitest";

import type { Progress } from "../src/api/types";

export class Stream extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  readyState: number = Stream.CONNECTING;

  constructor(readonly url: string) {
    super();
    opened.push(this);
  }

  close(): void {
    this.readyState = Stream.CLOSED;
  }

  bring(progress: Progress): void {
    this.readyState = Stream.OPEN;
    this.dispatchEvent(new MessageEvent("progress", { data: JSON.stringify(progress) }));
  }

  /** The connection breaks, and the browser opens it again by itself. */
  breakOff(): void {
    this.readyState = Stream.CONNECTING;
    this.dispatchEvent(new Event("error"));
  }

  /** The browser gives the stream up: it could not be opened, or the service answered with an error. */
  giveUp(): void {
    this.readyState = Stream.CLOSED;
    this.dispatchEvent(new Event("error"));
  }
}

let opened: Stream[] = [];

/** The streams that are opened from now on until the test ends, newest last. */
export function watchStreams(): Stream[] {
  opened = [];
  vi.stubGlobal("EventSource", Stream);
  return opened;
}
