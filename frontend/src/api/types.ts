// The site's names for what the service answers with (schema.ts is generated from its OpenAPI document).

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Person = Schemas["Person"];
export type Session = Schemas["SessionAnswer"];
export type Account = Schemas["Me"];
export type Erased = Schemas["ErasedAnswer"];
export type FoundPerson = Schemas["FoundPerson"];
export type SandboxPerson = Schemas["SandboxPerson"];
export type Progress = Schemas["ProgressAnswer"];
export type Stage = Progress["stage"];
export type ImageSize = Schemas["ImageSize"];
export type Reason = Schemas["Reason"];
export type ReasonPhoto = Schemas["Thumbnail"];
export type Photo = Schemas["RankedPhoto"];
export type UnrankedPhoto = Schemas["Photo"];
export type RecommendedPerson = Schemas["PersonToFollow"];
export type Recommendations = Schemas["Recommendation"];
export type Strategy = Recommendations["strategy"];
export type Variant = Recommendations["variant"];
export type ShownPhoto = Schemas["ShownPhoto"];
export type ActionReceipt = Schemas["ActionAnswer"];
export type Comment = Schemas["CommentAnswer"];
export type Group = Schemas["OnboardingGroup"];
export type GroupPhotos = Schemas["GroupPhotos"];
export type SimilarPhotos = Schemas["SimilarPhotos"];
export type Status = Schemas["Status"];
