// Messages of the stream between the nodes of a cluster: the 48 bytes that each begins with. Goes
// on from layout.ts, and what it says of itself holds here; the module does not use it.
//
//    0  u32  CRC32C of bytes 4 … 47
//    4  u32  magic "TMQS"
//    8  u64  log id: the same on all nodes of a cluster
//   16  u64  position in the log: of the batch; with all other kinds the end of the log
//   24  u32  epoch of the owner that sent it
//   28  u32  batch: bytes of the whole batch; else zero
//   32  u32  offset of this part in its batch; of base and resign a serial number, which counts
//             from 1 in each epoch; else zero
//   36  u32  node number of the sender
//   40  u8   version
//   41  u8   kind; STREAM_CLOSES is set in it where the batch closes its segment
//   42  u16  bytes of JSON that stand in front of the part
//   44  u32  CRC32C of everything behind these 48 bytes
//
//   kind     what stands behind
//   start    JSON of the owner | its first batch, whole
//   part     a piece of a commit batch, which may be all of it
//   beat     JSON of the owner: nothing to write, but alive
//   (4)      nothing: nobody ever sent one, and it does not count
//   base     JSON
//   resign   nothing: the owner has ended, others need not wait

export const STREAM_MAGIC: u32 = 0x53514d54; // "TMQS"
export const STREAM_VERSION: u32 = 1;

export const STREAM_CRC_AT: u32 = 0;
export const STREAM_MAGIC_AT: u32 = 4;
export const STREAM_LOG_ID_AT: u32 = 8;
export const STREAM_POSITION_AT: u32 = 16;
export const STREAM_EPOCH_AT: u32 = 24;
export const STREAM_BATCH_AT: u32 = 28;
export const STREAM_OFFSET_AT: u32 = 32;
export const STREAM_NODE_AT: u32 = 36;
export const STREAM_VERSION_AT: u32 = 40;
export const STREAM_KIND_AT: u32 = 41;
export const STREAM_JSON_AT: u32 = 42;
export const STREAM_BODY_CRC_AT: u32 = 44;
export const STREAM_ENVELOPE_BYTES: u32 = 48;

export const STREAM_START: u32 = 1;
export const STREAM_PART: u32 = 2;
export const STREAM_BEAT: u32 = 3;
export const STREAM_UNUSED: u32 = 4; // nobody ever sent one
export const STREAM_BASE: u32 = 5;
export const STREAM_RESIGN: u32 = 6;
export const STREAM_KIND_MAX: u32 = 6;
export const STREAM_CLOSES: u32 = 0x80;

export const STREAM_JSON_MAX: u32 = 65535;
