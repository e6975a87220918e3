/** What the shell takes from the chat, in one piece that loads by itself. */
export { default as ChatPage } from './ChatPage.svelte'; // { conversationId: string | null }, null: a new one
export { default as ChatList } from './ChatList.svelte'; // { activeId: string | null }, in the sidebar
export { default as SharePage } from './SharePage.svelte'; // { shareId: string }
export { default as ProjectsPage } from './ProjectsPage.svelte'; // { projectId: string | null }
export { default as Palette } from './Palette.svelte'; // mounted once while signed in
