import { mount } from 'svelte';
import App from './App.svelte';
import { loadSession } from './api/session.svelte';
import { firstLanguage, setLanguage } from './i18n/index.svelte';
import { startRouter } from './router.svelte';
import { startTheme } from './theme/theme.svelte';
import './theme/tokens.css';
import './theme/base.css';

startTheme();
startRouter();
void loadSession();
await setLanguage(firstLanguage());
mount(App, { target: document.getElementById('app') as HTMLElement });
