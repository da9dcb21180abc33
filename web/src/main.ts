/** Starts the page. */
import { mount } from 'svelte';

import App from './App.svelte';
import './tokens.css';
import './base.css';

const target = document.getElementById('page');
if (target === null) throw new Error('index.html has no element #page');
mount(App, { target });
