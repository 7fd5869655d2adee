// `assembly/layout.ts` is compiled by asc and by tsc; this is the one type name they must share.
declare type u32 = number;
