/**
 * The query editor: CodeMirror with PromQL's grammar, completion from our own API, and errors where they
 * are. It stands in a shadow tree, where its style sheets need no permission of the page's policy.
 */
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
  completionStatus,
  selectedCompletion,
  selectedCompletionIndex,
} from '@codemirror/autocomplete';
import {
  defaultKeymap,
  history,
  historyKeymap,
  insertNewlineAndIndent,
} from '@codemirror/commands';
import { bracketMatching, syntaxHighlighting } from '@codemirror/language';
import { forceLinting, linter, lintKeymap, type Diagnostic } from '@codemirror/lint';
import {
  Compartment,
  EditorState,
  Prec,
  type Extension,
  type Transaction,
} from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';

import { editorRequest } from '../../api/prometheus.ts';
import { problemIn } from '../../domain/query-problem.ts';
import { HIGHLIGHT, LOOK } from './editor-look.ts';

/** What an editor is to show. */
export interface EditorContent {
  text: string;
  /** The name that a screen reader says, and a word for an empty editor. */
  label: string;
  hint: string;
  /** The server's words about the text as it was run, or nothing. */
  error: { expression: string; message: string } | null;
}

/** What happens in an editor. */
export interface EditorEvents {
  change: (text: string) => void;
  run: () => void;
}

/** More characters than this make no request for completion: nobody types them. */
const LONGEST = 20_000;
/** Metrics whose help is fetched for the list of completions. */
const MOST_METADATA = 20_000;

/**
 * Whether Enter takes the completion that is selected: where a word or a bracket is unfinished, or a
 * person has moved in the list. After a whole expression it runs, whatever the list offers.
 */
function wantsCompletion({ state }: EditorView): boolean {
  if (completionStatus(state) !== 'active') return false;
  if ((selectedCompletionIndex(state) ?? 0) > 0) return true;
  const { from, text } = state.doc.lineAt(state.selection.main.head);
  const before = text.slice(0, state.selection.main.head - from);
  const word = /[\w:.]+$/.exec(before)?.[0] ?? '';
  if (word === '') return /[({[,="!~]\s*$/.test(before);
  return selectedCompletion(state)?.label !== word;
}

function keys(run: () => void): Extension {
  const runs = (view: EditorView): boolean => {
    closeCompletion(view);
    run();
    return true;
  };
  const leave = (view: EditorView): boolean => {
    view.contentDOM.blur();
    return true;
  };
  return [
    Prec.highest(
      keymap.of([
        {
          key: 'Enter',
          run: (view) => (wantsCompletion(view) && acceptCompletion(view)) || runs(view),
        },
        { key: 'Mod-Enter', run: runs },
        { key: 'Shift-Enter', run: insertNewlineAndIndent },
        { key: 'Tab', run: acceptCompletion },
        ...completionKeymap.filter(({ key }) => key !== 'Enter'),
      ]),
    ),
    keymap.of([
      ...closeBracketsKeymap,
      ...historyKeymap,
      ...lintKeymap,
      ...defaultKeymap,
      // After what is open was closed, Esc leads back to the keys of the page.
      { key: 'Escape', run: leave },
    ]),
  ];
}

/**
 * Types over a selection without the browser's help: it would carry the look of what is replaced over
 * as inline style, which the page's policy refuses.
 */
const TYPE_OVER = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const text = event.data;
    const { from, to, empty } = view.state.selection.main;
    if (event.inputType !== 'insertText' || text === null || empty || view.composing) return false;
    const insert = (): Transaction =>
      view.state.update({ ...view.state.replaceSelection(text), userEvent: 'input.type' });
    const handlers = view.state.facet(EditorView.inputHandler);
    if (!handlers.some((handle) => handle(view, from, to, text, insert))) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

/** One editor inside `host`. */
export class PromqlEditor {
  #view: EditorView;
  #promql = new PromQLExtension();
  #named = new Compartment();
  #error: EditorContent['error'] = null;

  constructor(host: HTMLElement, content: EditorContent, events: EditorEvents) {
    const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
    this.#promql
      .activateLinter(true)
      .activateCompletion(true)
      .setComplete({
        remote: { url: '', fetchFn: editorRequest, httpMethod: 'GET' },
        maxMetricsMetadata: MOST_METADATA,
      });
    this.#error = content.error;
    this.#view = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: content.text,
        extensions: [
          keys(events.run),
          TYPE_OVER,
          history(),
          closeBrackets(),
          bracketMatching(),
          autocompletion({ icons: false, maxRenderedOptions: 60, defaultKeymap: false }),
          this.#promql.asExtension(),
          linter((view) => this.#fromServer(view.state.doc.toString())),
          EditorView.lineWrapping,
          EditorState.changeFilter.of((change) => change.newDoc.length < LONGEST),
          this.#named.of(named(content)),
          syntaxHighlighting(HIGHLIGHT),
          LOOK,
          EditorView.updateListener.of((update) => {
            if (update.docChanged) events.change(update.state.doc.toString());
          }),
        ],
      }),
    });
  }

  /** Shows another text or another error; what is the same is left alone, the cursor included. */
  show(content: EditorContent): void {
    const shown = this.#view.state.doc.toString();
    this.#view.dispatch({
      effects: this.#named.reconfigure(named(content)),
      ...(shown === content.text
        ? {}
        : { changes: { from: 0, to: shown.length, insert: content.text } }),
    });
    if (JSON.stringify(content.error) === JSON.stringify(this.#error)) return;
    this.#error = content.error;
    forceLinting(this.#view);
  }

  focus(): void {
    this.#view.focus();
  }

  destroy(): void {
    this.#promql.destroy();
    this.#view.destroy();
  }

  /** The server's error, as long as the text is the one it is about. */
  #fromServer(text: string): Diagnostic[] {
    if (this.#error === null || this.#error.expression.trim() !== text.trim()) return [];
    const { message, from, to } = problemIn(text, this.#error.message);
    return from < to ? [{ from, to, severity: 'error', message }] : [];
  }
}

function named({ label, hint }: EditorContent): Extension {
  return [EditorView.contentAttributes.of({ 'aria-label': label }), placeholder(hint)];
}
