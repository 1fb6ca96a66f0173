// What text prompts are made of: questions about an image, answers to them, general knowledge of a class, and the seams behind
// which both come from. Plain data and two interfaces; nothing here asks anybody or loads anything.

/** A question about one class in one image. */
export type Question = {
  readonly caseId: string;
  readonly classId: number;
  /** Name of the class, for recorded answers and messages. */
  readonly className?: string;
  /** File of the image, PNG or JPEG. */
  readonly imagePath: string;
  readonly text: string;
};

/** Where a text came from: plain values for provenance (model, date, prompt …). Never a key or a header. */
export type TextSource = {
  readonly provider: string;
  readonly [detail: string]: string | number | boolean | null;
};

/** Where an answer came from. */
export type AnswerSource = TextSource;

/** What was said about an image, and by whom. */
export type Answer = { readonly text: string; readonly source: AnswerSource };

/** Answers questions about images: a model on this machine, an endpoint, a file. */
export interface AnswerProvider {
  /** For messages and provenance: `medvint`, `endpoint`, `recorded`. */
  readonly name: string;
  /** Content hash (hexadecimal) of everything that an answer depends on besides the question and the image. */
  readonly identity: string;
  /** Throws UnansweredError where the provider declines this question: the others are still worth asking. */
  answer(question: Question, signal: AbortSignal): Promise<Answer>;
  close?(): void;
}

/** Something that a language model or a card says about a class in general. */
export type Knowledge = { readonly text: string; readonly source: TextSource };

/** The class that knowledge is asked of. */
export type KnowledgeSubject = {
  readonly className: string;
  /** The dataset's word for what its images are. */
  readonly modality: string;
  /** The class's phrases in the dataset file: they tell which organ a `lesion` is in. */
  readonly prompts?: readonly string[] | undefined;
};

/** Knows classes; asked once a class, not once an image. */
export interface KnowledgeProvider {
  readonly name: string;
  readonly identity: string;
  /** null where it knows nothing of the class: the caller warns and goes on without. */
  knowledge(about: KnowledgeSubject, signal: AbortSignal): Promise<Knowledge | null>;
}

/** The text of a prompt, as prompts.jsonl keeps it. */
export type PromptText = { readonly answer?: string | undefined; readonly knowledge?: string | undefined };

/** The two kinds of text, as `--prompts` names them. */
export type TextPart = 'vqa' | 'knowledge';

/** Whether answer and knowledge are encoded together to one token, or each to its own. */
export type TextTokens = 1 | 2;
