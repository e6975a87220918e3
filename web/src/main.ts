import { mount } from 'svelte';
import App from './App.svelte';
import { loadSession } from './api/session.svelte';
import { firstLanguage, setLanguage } from './i18n/index.svelte';
import { startRouter } from './router.svelte';
import { startTheme } from './theme/theme.svelte';
import { startWorker } from './worker/register';
import './theme/tokens.css';
import './theme/base.css';

startTheme();
startRouter();
void loadSession();
// The chat is the first screen of who is signed in; its code travels with the session's answer, not after it.
if (!/^\/(join|sign-in|welcome)$/.test(location.pathname)) void import('./chat/index');
await setLanguage(firstLanguage());
mount(App, { target: document.getElementById('app') as HTMLElement });
startWorker();
