import { mount } from 'svelte';

import './app.css';
import { registerWorker } from './lib/worker';
import App from './ui/App.svelte';

const target = document.getElementById('app');
if (target === null) throw new Error('index.html has an element for the page');
mount(App, { target });
if (import.meta.env.PROD) registerWorker();
