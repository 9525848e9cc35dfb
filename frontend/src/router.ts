// The pages and their addresses. `/wall` is the signed-in person's own wall, wherever that is.

import { createRouter, createWebHistory, type RouteLocationRaw, type RouteRecordRaw } from "vue-router";

import NotFoundPage from "./pages/NotFoundPage.vue";
import StartPage from "./pages/StartPage.vue";
import { useSession } from "./stores/session";

export const routes: RouteRecordRaw[] = [
  { path: "/", name: "start", component: StartPage },
  { path: "/wall", name: "own-wall", component: StartPage, beforeEnter: goToOwnWall },
  { path: "/wall/:userId", name: "wall", component: () => import("./pages/WallPage.vue"), props: true },
  { path: "/:path(.*)*", name: "not-found", component: NotFoundPage },
];

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

async function goToOwnWall(): Promise<RouteLocationRaw> {
  const session = useSession();
  await session.load();
  return session.user === null ? { name: "start" } : { name: "wall", params: { userId: session.user.user_id } };
}
