// Text prompts: questions, answers, knowledge, and the features that the prompt encoder gets.

export { type AddressOptions, isThisMachine, KEY_VARIABLE } from './address.ts';
export {
  ANSWER_INSTRUCTION,
  type EndpointAnswersOptions,
  endpointAnswers,
} from './answers/endpoint.ts';
export { SENT_IMAGE, type SentImageOptions } from './answers/image-url.ts';
export {
  type MedvintAnswersOptions,
  medvintAnswers,
  type OpenMedvintOptions,
  openMedvintAnswers,
} from './answers/medvint.ts';
export { recordedAnswers } from './answers/recorded.ts';
export { type RecordingAnswers, recordAnswers } from './answers/recording.ts';
export type { ChatOptions } from './chat.ts';
export { type Modality, modalityOf, plainName } from './class-words.ts';
export {
  type AddedTexts,
  type AddTextFeaturesOptions,
  addTextFeatures,
  type EncodedText,
  type EncodeOptions,
  encodeTexts,
  encodingIdentity,
} from './encode.ts';
export {
  checkTextFeatures,
  findTextFeatures,
  readTextFeatures,
  type TextFeatures,
  type TextFeaturesIdentity,
  textKey,
  writeTextFeatures,
} from './features.ts';
export { REQUEST_LIMITS, type RequestLimits } from './http.ts';
export { type JoinedText, joinText, TEXT_BUDGET } from './join.ts';
export { cardKnowledge, cardNames, cardText, findCard } from './knowledge/cards.ts';
export {
  type EndpointKnowledgeOptions,
  endpointKnowledge,
  KNOWLEDGE_PROMPT,
} from './knowledge/endpoint.ts';
export { recordedKnowledge } from './knowledge/recorded.ts';
export { allTexts, TEXT_PARTS, textsFor, wholeText } from './parts.ts';
export { leavesMachine, privacyOfMachine, privacyStatement, type TextEndpoints } from './privacy.ts';
export { type AskedClass, questionFor, saliencyText } from './questions.ts';
export type * from './types.ts';
export { UnansweredError } from './unanswered.ts';
