/** How the query editor looks: the page's tokens, in both themes, with the colours of charts for words. */
import { HighlightStyle } from '@codemirror/language';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';

/** Colours of the parts of PromQL; state colours stay for errors. */
export const HIGHLIGHT = HighlightStyle.define([
  { tag: tags.variableName, color: 'var(--ink)' },
  { tag: tags.function(tags.variableName), color: 'var(--code-call)' },
  { tag: tags.operatorKeyword, color: 'var(--code-call)' },
  { tag: [tags.modifier, tags.logicOperator], color: 'var(--code-word)' },
  { tag: tags.labelName, color: 'var(--code-label)' },
  { tag: tags.string, color: 'var(--code-text)' },
  { tag: tags.number, color: 'var(--code-number)' },
  { tag: [tags.operator, tags.arithmeticOperator], color: 'var(--ink-soft)' },
  { tag: [tags.paren, tags.squareBracket, tags.brace], color: 'var(--ink-soft)' },
  { tag: tags.comment, color: 'var(--ink-faint)', fontStyle: 'italic' },
]);

const LIST = '.cm-tooltip.cm-tooltip-autocomplete > ul';

/** The editor's own style sheet. */
export const LOOK = EditorView.theme({
  '&': { color: 'var(--ink)', backgroundColor: 'transparent', fontSize: 'var(--text-base)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--font-code)', lineHeight: '1.55' },
  '.cm-content': { padding: '6px 0', caretColor: 'var(--ink)' },
  '.cm-line': { padding: '0 10px' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-placeholder': { color: 'var(--ink-faint)', fontFamily: 'var(--font)' },
  '&.cm-focused .cm-matchingBracket': {
    backgroundColor: 'var(--info-soft)',
    outline: '1px solid var(--line-strong)',
  },
  '&.cm-focused .cm-nonmatchingBracket': { backgroundColor: 'var(--critical-soft)' },
  '.cm-lintRange-error': {
    backgroundImage: 'none',
    borderBottom: '2px dotted var(--critical-mark)',
  },
  '.cm-lintRange-warning, .cm-lintRange-info': {
    backgroundImage: 'none',
    borderBottom: '2px dotted var(--warning-mark)',
  },
  '.cm-tooltip': {
    maxWidth: 'min(640px, 92vw)',
    border: '1px solid var(--line-strong)',
    borderRadius: 'var(--radius)',
    backgroundColor: 'var(--surface-raised)',
    color: 'var(--ink)',
    boxShadow: 'var(--shadow)',
    overflow: 'hidden',
  },
  '.cm-diagnostic': {
    padding: '6px 10px',
    borderLeft: '3px solid var(--critical-mark)',
    fontFamily: 'var(--font)',
    fontSize: 'var(--text-small)',
  },
  '.cm-diagnostic-warning, .cm-diagnostic-info': { borderLeftColor: 'var(--warning-mark)' },
  [LIST]: {
    maxHeight: '18em',
    fontFamily: 'var(--font-code)',
    fontSize: 'var(--text-small)',
    scrollbarWidth: 'thin',
  },
  [`${LIST} > li`]: { display: 'flex', gap: '12px', padding: '4px 10px', lineHeight: '1.4' },
  [`${LIST} > li[aria-selected]`]: { backgroundColor: 'var(--hover)', color: 'var(--ink)' },
  '.cm-completionLabel': { flex: '1', overflow: 'hidden', textOverflow: 'ellipsis' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700', color: 'var(--info)' },
  '.cm-completionDetail': {
    marginLeft: 'auto',
    fontFamily: 'var(--font)',
    fontStyle: 'normal',
    color: 'var(--ink-faint)',
  },
  '.cm-tooltip.cm-completionInfo': {
    maxWidth: '320px',
    padding: '8px 10px',
    overflow: 'hidden',
    fontFamily: 'var(--font)',
    fontSize: 'var(--text-small)',
    color: 'var(--ink-soft)',
  },
});
