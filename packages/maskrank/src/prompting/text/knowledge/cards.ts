// Curated knowledge that ships with the program, so that text prompts need no network: a card a class of the paper's data sets,
// found by the class's name. Not here: the cards themselves (chest-cards.ts, breast-cards.ts, abdomen-cards.ts).

import { createHash } from 'node:crypto';
import { modalityOf, namesOf } from '../class-words.ts';
import type { Knowledge, KnowledgeProvider, KnowledgeSubject } from '../types.ts';
import { ABDOMEN_CARDS } from './abdomen-cards.ts';
import { BREAST_CARDS } from './breast-cards.ts';
import type { Card } from './card.ts';
import { CHEST_CARDS } from './chest-cards.ts';

/** All cards that ship with maskrank. */
export const CARDS: readonly Card[] = [...CHEST_CARDS, ...BREAST_CARDS, ...ABDOMEN_CARDS];

const BY_NAME: ReadonlyMap<string, Card> = new Map(
  CARDS.flatMap((card) => card.names.map((name): [string, Card] => [name, card])),
);

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The card of a class; null where none fits. Letter case, separators and spelling of the name do not matter. */
export function findCard(about: Omit<KnowledgeSubject, 'modality'>): Card | null {
  for (const name of namesOf(about)) {
    const card = BY_NAME.get(name);
    if (card !== undefined) return card;
  }
  return null;
}

/** What a card says; the appearance only for the modality that it describes. */
export function cardText(card: Card, modality: string): string {
  const known = modalityOf(modality);
  const appearance = known === null ? undefined : card.appearance[known];
  return [card.location, card.shape, card.size, appearance, card.variability]
    .filter((sentence) => sentence !== undefined)
    .join(' ');
}

/** Knowledge from the cards; null for classes without one. */
export function cardKnowledge(): KnowledgeProvider {
  return {
    name: 'cards',
    identity: sha256(JSON.stringify(CARDS)),
    knowledge: async (about): Promise<Knowledge | null> => {
      const card = findCard(about);
      if (card === null) return null;
      const text = cardText(card, about.modality);
      const known = modalityOf(about.modality);
      const appearance = known !== null && card.appearance[known] !== undefined ? known : 'none';
      return {
        text,
        source: { provider: 'cards', card: card.names[0] as string, appearance, hash: sha256(text) },
      };
    },
  };
}

/** Names of all cards, for messages. */
export const cardNames = (): string[] => CARDS.map((card) => card.names[0] as string);
