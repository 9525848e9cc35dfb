// What the person did on the wall: fave, dismiss, undo. Each shows at once and is taken back, with the service's
// words, when it is refused; the calls leave one after the other, so that an undo never overtakes what it undoes.

import { defineStore } from "pinia";
import { ref } from "vue";

import * as api from "../api/client";
import type { Person, UnrankedPhoto as Photo } from "../api/types";
import { useNotices, type NoticeAction } from "./notices";
import { useSession } from "./session";

type Photographer = Pick<Person, "user_id" | "name">;

/** Something done that can be taken back; `photoId` is null where no single photo comes back by it. */
interface Step {
  photoId: string | null;
  undo: () => Promise<void>;
}

/** Ids that carry a mark: as shown at once, as the service last accepted it, and which wish for each id is newest. */
interface Marks {
  shown: Set<string>;
  accepted: Set<string>;
  newest: Map<string, number>;
}

export const useActions = defineStore("actions", () => {
  const notices = useNotices();
  const session = useSession();

  const faved = ref(new Set<string>());
  const dismissedPhotos = ref(new Set<string>());
  const dismissedPeople = ref(new Set<string>());
  /** How many actions the service has accepted: each may change the next ranking. */
  const accepted = ref(0);
  const favedMarks = marksOf(faved.value);
  const photoMarks = marksOf(dismissedPhotos.value);
  const personMarks = marksOf(dismissedPeople.value);
  /** What can be taken back, the newest last. */
  const steps: Step[] = [];
  let lastAction: Promise<unknown> = Promise.resolve();
  let lastWish = 0;

  async function setFaved(photo: Photo, wanted: boolean): Promise<void> {
    const step = { photoId: photo.photo_id, undo: async () => void (await fave(photo, !wanted)) };
    steps.push(step);
    if (!(await fave(photo, wanted))) forget(step);
  }

  async function fave(photo: Photo, wanted: boolean): Promise<boolean> {
    const send = () => api.setFavorite(photo.photo_id, wanted);
    const done = await mark(favedMarks, photo.photo_id, wanted, send);
    if (done) notices.announce(wanted ? `Faved ${quoted(photo)}.` : `No longer a favorite: ${quoted(photo)}.`);
    return done;
  }

  function dismissPhoto(photo: Photo): Promise<void> {
    const dismissOwner = {
      label: `Nothing by ${photo.owner_name}`,
      testId: "dismiss-person",
      run: () => void dismissPerson({ user_id: photo.owner_id, name: photo.owner_name }),
    };
    return withUndo(
      `You won’t see ${quoted(photo)} again.`,
      photo.photo_id,
      () => setPhotoDismissed(photo, true),
      () => setPhotoDismissed(photo, false),
      [dismissOwner],
    );
  }

  function dismissPerson(someone: Photographer): Promise<void> {
    return withUndo(
      `You won’t see photos by ${someone.name} again.`,
      null,
      () => setPersonDismissed(someone, true),
      () => setPersonDismissed(someone, false),
    );
  }

  function setPhotoDismissed(photo: Pick<Photo, "photo_id">, wanted: boolean): Promise<boolean> {
    const send = () => api.setPhotoDismissed(photo.photo_id, wanted);
    return mark(photoMarks, photo.photo_id, wanted, send);
  }

  function setPersonDismissed(someone: Pick<Person, "user_id">, wanted: boolean): Promise<boolean> {
    const send = () => api.setPersonDismissed(someone.user_id, wanted);
    return mark(personMarks, someone.user_id, wanted, send);
  }

  /** Does it and says so, with a way back for as long as the notice stays. */
  async function withUndo(
    message: string,
    photoId: string | null,
    doIt: () => Promise<boolean>,
    undoIt: () => Promise<boolean>,
    others: NoticeAction[] = [],
  ): Promise<void> {
    const takeBack = async (): Promise<void> => {
      forget(step);
      notices.close(notice);
      if (await undoIt()) notices.announce("Taken back.");
    };
    const step = { photoId, undo: takeBack };
    steps.push(step);
    const undo = { label: "Undo", testId: "undo", run: () => void takeBack() };
    const notice = notices.show(message, [undo, ...others]);
    if (await doIt()) return;
    forget(step);
    notices.close(notice);
  }

  /** Takes back what was done last, then what was done before it; returns the photo that it was done to. */
  function undoLast(): string | null {
    const step = steps.pop();
    if (step === undefined) notices.announce("There is nothing to take back.");
    else void step.undo();
    return step?.photoId ?? null;
  }

  function forget(step: Step): void {
    const place = steps.indexOf(step);
    if (place >= 0) steps.splice(place, 1);
  }

  /** Shows a mark (or its absence) at once; when the service refuses, what it last accepted. */
  async function mark(marks: Marks, id: string, wanted: boolean, send: () => Promise<unknown>): Promise<boolean> {
    const wish = ++lastWish;
    marks.newest.set(id, wish);
    put(marks.shown, id, wanted);
    const sent = lastAction.then(send);
    lastAction = sent.catch(() => undefined);
    try {
      await sent;
      put(marks.accepted, id, wanted);
      accepted.value++;
      return true;
    } catch (failure) {
      // Somebody who has changed their mind meanwhile sees the newer wish, and what becomes of that one.
      if (marks.newest.get(id) === wish) put(marks.shown, id, marks.accepted.has(id));
      explain(failure);
      return false;
    }
  }

  function explain(failure: unknown): void {
    const expired = failure instanceof api.ApiError && failure.status === 401;
    const signIn = {
      label: "Sign in",
      testId: "notice-sign-in",
      run: () => void session.signIn(window.location.pathname).catch(explain),
    };
    notices.showError(api.messageOf(failure), expired ? [signIn] : []);
    if (expired) void session.reload();
  }

  return {
    faved,
    dismissedPhotos,
    dismissedPeople,
    accepted,
    setFaved,
    dismissPhoto,
    dismissPerson,
    setPhotoDismissed,
    setPersonDismissed,
    undoLast,
  };
});

function marksOf(shown: Set<string>): Marks {
  return { shown, accepted: new Set(), newest: new Map() };
}

function put(set: Set<string>, id: string, inside: boolean): void {
  if (inside) set.add(id);
  else set.delete(id);
}

function quoted(photo: Photo): string {
  return photo.title === "" ? "this photo" : `“${photo.title}”`;
}
