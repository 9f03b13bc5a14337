//! `proof.json`: the way from a recording's anchor to a checkpoint, in JSON that has exactly one form per content.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::block::{Block, Certificate, Genesis, Header, Receipt, SignedTransaction};
use crate::hash::{Hash, Sha256};
use crate::merkle::{self, FromNodesError, MerkleError, Nodes};
use crate::wire::DecodeError;

/// The format's name, the first member of the JSON object.
const FORMAT: &str = "lucid.proof/v1";
/// The largest `proof.json` read; one with the largest certificate and ten further checkpoints has less than 100 kB.
pub(crate) const PROOF_BYTES_MAX: usize = 4_000_000;
/// The most hashes of a path: a tree of 2^64 leaves has no longer one.
const PATH_MAX: usize = 64;
/// The most further checkpoints.
const ALSO_MAX: usize = 100;

/// The content of `proof.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The beginning of the chain.
    pub genesis: Genesis,
    /// The transaction that anchors the recording.
    pub transaction: SignedTransaction,
    /// Its index in the block.
    pub index: u64,
    /// How many transactions the block has.
    pub size: u64,
    /// The path from the transaction to the root of the transaction tree.
    pub transaction_path: Vec<Hash>,
    /// What came of the transaction.
    pub receipt: Receipt,
    /// The path from the receipt to the root of the receipt tree; index and size are the transaction's.
    pub receipt_path: Vec<Hash>,
    /// The block's header.
    pub header: Header,
    /// The validators' signatures over the header.
    pub certificate: Certificate,
    /// How many headers the log has at the export's checkpoint.
    pub log_size: u64,
    /// The path from the header, at the index of its height, to the checkpoint's root.
    pub log_path: Vec<Hash>,
    /// Further checkpoints whose logs have the header too.
    pub also: Vec<Also>,
}

/// A further checkpoint, for those who trust that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Also {
    /// The signed note.
    pub checkpoint: String,
    /// The path from the header to this checkpoint's root.
    pub path: Vec<Hash>,
}

/// Why a file is not a valid `proof.json`.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Not JSON, or not with these members.
    #[error("not the expected JSON")]
    Json(#[source] serde_json::Error),
    /// Another format or version.
    #[error("the format is not `{FORMAT}` (a newer release may read it)")]
    Format,
    /// A member is not what it should be.
    #[error("`{part}` {problem}")]
    Member {
        /// The member.
        part: &'static str,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// The bytes in a member are not the encoding of the thing they should be.
    #[error("`{part}` can't be decoded")]
    Decode {
        /// The member.
        part: &'static str,
        /// Where the bytes differ from the layout.
        #[source]
        source: DecodeError,
    },
    /// The same content has another form.
    #[error("line {line} is not in the form in which this content is written")]
    Form {
        /// The first line that differs, from 1.
        line: usize,
    },
    /// Above the limit on its size.
    #[error("larger than {PROOF_BYTES_MAX} bytes")]
    TooLarge,
}

/// Why a proof could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError<E> {
    /// The block has no such transaction, or another number of receipts.
    #[error("the block of height {height} has no transaction {index} with a receipt")]
    Transaction {
        /// The block.
        height: u64,
        /// The transaction asked for.
        index: usize,
    },
    /// A path in the block could not be made.
    #[error("making a path in the block of height {height}")]
    Path {
        /// The block.
        height: u64,
        /// What does not fit.
        #[source]
        source: MerkleError,
    },
    /// The path in the log could not be made.
    #[error("making the path of header {height} in the log of {size} headers")]
    Log {
        /// The block.
        height: u64,
        /// The log's size.
        size: u64,
        /// Whether the log is too short or its store failed.
        #[source]
        source: FromNodesError<E>,
    },
}

impl Proof {
    /// Puts the proof for one transaction together. `receipts` are the block's; `log` holds the tree of headers, of which
    /// the first `log_size` are taken: the size of the checkpoint that goes with the export.
    ///
    /// # Errors
    /// [`AssembleError`] if the parts do not fit together or the log can't be read.
    pub fn assemble<N: Nodes>(
        genesis: &Genesis,
        block: &Block,
        receipts: &[Receipt],
        index: usize,
        log: &N,
        log_size: u64,
    ) -> Result<Self, AssembleError<N::Error>> {
        let height = block.header.height;
        let (transaction, receipt) = match (block.transactions.get(index), receipts.get(index)) {
            (Some(transaction), Some(receipt)) if receipts.len() == block.transactions.len() => (transaction, receipt),
            _ => return Err(AssembleError::Transaction { height, index }),
        };
        let path = |leaves: Vec<Hash>| {
            merkle::inclusion::<Sha256>(&leaves, index as u64).map_err(|source| AssembleError::Path { height, source })
        };
        Ok(Self {
            genesis: genesis.clone(),
            transaction: transaction.clone(),
            index: index as u64,
            size: block.transactions.len() as u64,
            transaction_path: path(block.transactions.iter().map(SignedTransaction::leaf).collect())?,
            receipt: *receipt,
            receipt_path: path(receipts.iter().map(Receipt::leaf).collect())?,
            header: block.header.clone(),
            certificate: block.certificate.clone(),
            log_size,
            log_path: merkle::inclusion_from::<Sha256, N>(log, height, log_size)
                .map_err(|source| AssembleError::Log { height, size: log_size, source })?,
            also: Vec::new(),
        })
    }

    /// The text of `proof.json`.
    ///
    /// # Errors
    /// [`ProofError`] if the content is beyond what can be read back.
    pub fn encode(&self) -> Result<String, ProofError> {
        let paths = [&self.transaction_path, &self.receipt_path, &self.log_path];
        if paths.into_iter().chain(self.also.iter().map(|also| &also.path)).any(|path| path.len() > PATH_MAX) {
            return Err(TOO_LONG_PATH);
        }
        let decode = |part| move |source| ProofError::Decode { part, source };
        let json = Json {
            format: FORMAT.to_owned(),
            genesis: HEXLOWER.encode(&self.genesis.encode()),
            transaction: JsonTransaction {
                bytes: HEXLOWER.encode(&self.transaction.encode()),
                index: self.index,
                size: self.size,
                path: path_to_hex(&self.transaction_path),
            },
            receipt: JsonReceipt {
                bytes: HEXLOWER.encode(&self.receipt.encode()),
                path: path_to_hex(&self.receipt_path),
            },
            header: HEXLOWER.encode(&self.header.encode()),
            certificate: HEXLOWER.encode(&self.certificate.encode().map_err(decode("certificate"))?),
            log: JsonLog { index: self.header.height, size: self.log_size, path: path_to_hex(&self.log_path) },
            also: self.also.iter().map(JsonAlso::from).collect(),
        };
        Ok(serde_json::to_string_pretty(&json).map_err(ProofError::Json)? + "\n")
    }

    /// Reads `proof.json`, strictly: only the text that [`Proof::encode`] writes is accepted. No signature and no path is
    /// checked here.
    ///
    /// # Errors
    /// [`ProofError`] names the member or line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLarge);
        }
        let proof = Self::from_json(serde_json::from_str(text).map_err(ProofError::Json)?)?;
        let form = proof.encode()?;
        if form != text {
            let same = form.split('\n').zip(text.split('\n')).take_while(|(left, right)| left == right).count();
            return Err(ProofError::Form { line: same + 1 });
        }
        Ok(proof)
    }

    fn from_json(json: Json) -> Result<Self, ProofError> {
        if json.format != FORMAT {
            return Err(ProofError::Format);
        }
        if json.also.len() > ALSO_MAX {
            return Err(ProofError::Member { part: "also", problem: "has more than 100 checkpoints" });
        }
        let header = decode("header", &json.header, Header::decode)?;
        if json.log.index != header.height {
            return Err(ProofError::Member { part: "log", problem: "has another index than the header's height" });
        }
        Ok(Self {
            genesis: decode("genesis", &json.genesis, Genesis::decode)?,
            transaction: decode("transaction", &json.transaction.bytes, SignedTransaction::decode)?,
            index: json.transaction.index,
            size: json.transaction.size,
            transaction_path: path_from_hex("transaction", &json.transaction.path)?,
            receipt: decode("receipt", &json.receipt.bytes, Receipt::decode)?,
            receipt_path: path_from_hex("receipt", &json.receipt.path)?,
            header,
            certificate: decode("certificate", &json.certificate, Certificate::decode)?,
            log_size: json.log.size,
            log_path: path_from_hex("log", &json.log.path)?,
            also: json.also.into_iter().map(Also::from_json).collect::<Result<_, _>>()?,
        })
    }
}

impl Also {
    fn from_json(json: JsonAlso) -> Result<Self, ProofError> {
        Ok(Self { path: path_from_hex("also", &json.path)?, checkpoint: json.checkpoint })
    }
}

impl From<&Also> for JsonAlso {
    fn from(also: &Also) -> Self {
        Self { checkpoint: also.checkpoint.clone(), path: path_to_hex(&also.path) }
    }
}

impl ProofError {
    /// The member of the JSON object that is wrong, where one can be named.
    pub(crate) fn part(&self) -> &'static str {
        match self {
            Self::Member { part, .. } | Self::Decode { part, .. } => part,
            Self::Json(_) | Self::Format | Self::Form { .. } | Self::TooLarge => "form",
        }
    }
}

/// The members in the order in which they are written; hexadecimal is lower case.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    format: String,
    genesis: String,
    transaction: JsonTransaction,
    receipt: JsonReceipt,
    header: String,
    certificate: String,
    log: JsonLog,
    also: Vec<JsonAlso>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonTransaction {
    bytes: String,
    index: u64,
    size: u64,
    path: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonReceipt {
    bytes: String,
    path: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLog {
    index: u64,
    size: u64,
    path: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAlso {
    checkpoint: String,
    path: Vec<String>,
}

const TOO_LONG_PATH: ProofError = ProofError::Member { part: "path", problem: "has more than 64 hashes" };

fn decode<T>(part: &'static str, hex: &str, decode: impl Fn(&[u8]) -> Result<T, DecodeError>) -> Result<T, ProofError> {
    let bytes = HEXLOWER
        .decode(hex.as_bytes())
        .map_err(|_| ProofError::Member { part, problem: "is not lower case hexadecimal" })?;
    decode(&bytes).map_err(|source| ProofError::Decode { part, source })
}

fn path_to_hex(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| HEXLOWER.encode(hash)).collect()
}

fn path_from_hex(part: &'static str, path: &[String]) -> Result<Vec<Hash>, ProofError> {
    let wrong = || ProofError::Member { part, problem: "has a path that is not of hashes in hexadecimal" };
    let hash = |hex: &String| HEXLOWER.decode(hex.as_bytes()).ok().and_then(|hash| hash.try_into().ok());
    path.iter().map(|hex| hash(hex).ok_or_else(wrong)).collect()
}
