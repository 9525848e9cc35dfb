// Follows a pull as it runs, by server-sent events. The browser reconnects a stream that breaks; a stream that is
// refused or can't be opened is asked for again with growing pauses, and by plain JSON in between.

import { ApiError, getProgress, progressStreamAddress } from "./client";
import type { Progress } from "./types";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

export interface ProgressListener {
  onProgress: (progress: Progress) => void;
  /** The stream is lost and being looked for (true), or back (false). */
  onLost: (lost: boolean) => void;
  /** The service refuses to tell; nothing more will come. */
  onRefused: (error: ApiError) => void;
}

export function isFinished(progress: Progress): boolean {
  return progress.stage === "done" || progress.stage === "failed";
}

/** Calls the listener until the pull is done, failed or refused, or until the returned function is called. */
export function followProgress(userId: string, listener: ProgressListener): () => void {
  let stream: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE_MS;
  let stopped = false;

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    stream?.close();
  }

  function take(progress: Progress): void {
    if (stopped) return;
    listener.onLost(false);
    if (isFinished(progress)) stop();
    listener.onProgress(progress);
  }

  async function askAgain(): Promise<void> {
    try {
      take(await getProgress(userId));
    } catch (error) {
      if (stopped) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
        stop();
        listener.onRefused(error);
      }
    }
    if (!stopped) open();
  }

  function open(): void {
    stream = new EventSource(progressStreamAddress(userId));
    stream.addEventListener("progress", (event) => {
      pause = FIRST_PAUSE_MS;
      take(JSON.parse((event as MessageEvent<string>).data) as Progress);
    });
    stream.addEventListener("error", () => {
      if (stopped) return;
      listener.onLost(true);
      if (stream?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(askAgain, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    });
  }

  open();
  return stop;
}
