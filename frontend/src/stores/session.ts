// Who is signed in. Signing in leaves the site for Flickr's own page and comes back to where the person was.

import { defineStore } from "pinia";
import { ref } from "vue";

import * as api from "../api/client";
import type { Person } from "../api/types";

export const useSession = defineStore("session", () => {
  const user = ref<Person | null>(null);
  const sandbox = ref(false);
  const known = ref(false);
  /** Why nobody can tell who is signed in; empty when all is well. */
  const failure = ref("");
  let loading: Promise<void> | null = null;

  async function read(): Promise<void> {
    failure.value = "";
    try {
      const session = await api.getSession();
      user.value = session.user;
      sandbox.value = session.sandbox;
      known.value = true;
    } catch (reason) {
      loading = null;
      failure.value = api.messageOf(reason);
    }
  }

  /** Asks the service once, however many ask for it; after a failure, again. */
  function load(): Promise<void> {
    loading ??= read();
    return loading;
  }

  /** Asks the service again: the session may have ended, or somebody signed in elsewhere. */
  function reload(): Promise<void> {
    loading = read();
    return loading;
  }

  /** Goes to Flickr, which asks for consent and sends the person back to `returnTo`. */
  async function signIn(returnTo: string): Promise<void> {
    const { authorize_url } = await api.signIn(returnTo);
    window.location.assign(authorize_url);
  }

  async function signOut(): Promise<void> {
    await api.signOut();
    user.value = null;
    await reload();
  }

  return { user, sandbox, known, failure, load, reload, signIn, signOut };
});
