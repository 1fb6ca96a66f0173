// A unit of work: one class in one case. Not here: their pixels (canvas.ts) and prompts (prompting/).

export type Unit = { readonly caseId: string; readonly classId: number };

/** Identity of a unit, for maps. */
export const unitKey = (caseId: string, classId: number): string => `${caseId}\u0000${classId}`;
