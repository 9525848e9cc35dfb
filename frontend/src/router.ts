// The pages and their addresses. `/wall` is the signed-in person's own wall, wherever that is.

import { createRouter, createWebHistory, type RouteLocationRaw, type RouteRecordRaw } from "vue-router";

import NotFoundPage from "./pages/NotFoundPage.vue";
import StartPage from "./pages/StartPage.vue";
import { useSession } from "./stores/session";

export const routes: RouteRecordRaw[] = [
  { path: "/", name: "start", component: StartPage },
  { path: "/wall", name: "own-wall", component: StartPage, beforeEnter: goToOwnWall },
  { path: "/wall/:userId", name: "wall", component: () => import("./pages/WallPage.vue"), props: true },
  { path: "/account", name: "account", component: () => import("./pages/AccountPage.vue") },
  { path: "/begin", name: "begin", component: () => import("./pages/OnboardingPage.vue") },
  { path: "/status", name: "status", component: () => import("./pages/StatusPage.vue") },
  { path: "/:path(.*)*", name: "not-found", component: NotFoundPage },
];

export const router = createRouter({
  history: createWebHistory(),
  routes,
  // A photo that opens over the wall, or closes, leaves the wall where it is.
  scrollBehavior: (to, from, saved) => (to.path === from.path ? false : (saved ?? { top: 0 })),
});

async function goToOwnWall(): Promise<RouteLocationRaw> {
  const session = useSession();
  await session.load();
  return session.user === null ? { name: "start" } : { name: "wall", params: { userId: session.user.user_id } };
}
