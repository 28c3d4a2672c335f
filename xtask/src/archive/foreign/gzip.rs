//! gzip, member by member: what `MultiGzDecoder` would pass over in silence (a second member, bytes behind the end) is noted.
//! It must not know what is compressed.

use super::fault::{broken, carried, cut};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Remarks on a layer, read after its end.
pub type Remarks = Arc<Mutex<Vec<String>>>;

const BUFFER: usize = 128 * 1024;

/// The plain bytes of all members.
pub struct Members {
    /// `None` behind the end.
    current: Option<Member>,
    members: u64,
    remarks: Remarks,
}

enum Member {
    Open(Box<flate2::bufread::GzDecoder<BufReader<Box<dyn Read + Send>>>>),
    Over(BufReader<Box<dyn Read + Send>>),
}

impl Members {
    /// Begins at the first member.
    pub fn new(from: Box<dyn Read + Send>, remarks: Remarks) -> Self {
        let first = flate2::bufread::GzDecoder::new(BufReader::with_capacity(BUFFER, from));
        Self { current: Some(Member::Open(Box::new(first))), members: 1, remarks }
    }

    fn remark(&self, text: String) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// What comes behind a member: another one, nothing, or something that is none.
    fn behind(&mut self, mut rest: BufReader<Box<dyn Read + Send>>) -> io::Result<Option<Member>> {
        let next = rest.fill_buf()?;
        // Both bytes of the magic may not have arrived yet; a single byte of padding is no member either.
        if next.first() == Some(&0x1f) {
            self.members += 1;
            return Ok(Some(Member::Open(Box::new(flate2::bufread::GzDecoder::new(rest)))));
        }
        if self.members > 1 {
            self.remark(format!("it is {} gzip files one behind the other", self.members));
        }
        let (mut bytes, mut zeros) = (0_u64, true);
        loop {
            let more = rest.fill_buf()?;
            if more.is_empty() {
                break;
            }
            zeros &= more.iter().all(|b| *b == 0);
            bytes += more.len() as u64;
            let n = more.len();
            rest.consume(n);
        }
        if bytes > 0 {
            let what = if zeros { "zeros" } else { "bytes that are no gzip" };
            self.remark(format!(
                "{bytes} {what} follow the end of the gzip data; they were passed over, as gunzip does"
            ));
        }
        Ok(None)
    }
}

impl Read for Members {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match self.current.take() {
                None => return Ok(0),
                Some(Member::Over(rest)) => self.current = self.behind(rest)?,
                Some(Member::Open(mut member)) => match member.read(into) {
                    Ok(0) => self.current = Some(Member::Over(member.into_inner())),
                    Ok(n) => {
                        self.current = Some(Member::Open(member));
                        return Ok(n);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => self.current = Some(Member::Open(member)),
                    Err(error) => {
                        // Whoever asks again gets the same kind of answer, never an end.
                        self.current = Some(Member::Open(member));
                        return Err(explained(error));
                    }
                },
            }
        }
    }
}

/// What flate2 says, in words; an error of the stream below it stays that.
pub fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        _ if error.raw_os_error().is_some()
            || error.get_ref().is_some_and(|e| e.is::<crate::domain::refusal::Refusal>()) =>
        {
            error
        }
        ErrorKind::UnexpectedEof => carried(cut("the gzip data ends before its end")),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            carried(broken("the gzip data does not agree with its own checksum or form"))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        to.write_all(text).unwrap();
        to.finish().unwrap()
    }

    fn plain(bytes: &[u8]) -> (io::Result<Vec<u8>>, Vec<String>) {
        let remarks = Remarks::default();
        let mut all = Vec::new();
        let from = Box::new(io::Cursor::new(bytes.to_vec()));
        let read = Members::new(from, Arc::clone(&remarks)).read_to_end(&mut all).map(|_| all);
        let said = remarks.lock().unwrap().clone();
        (read, said)
    }

    #[test]
    fn one_member_is_read_and_nothing_is_remarked() {
        let (read, said) = plain(&member(b"hello"));
        assert_eq!((read.unwrap(), said), (b"hello".to_vec(), vec![]));
    }

    #[test]
    fn a_second_member_is_read_and_told() {
        let (read, said) = plain(&[member(b"hello "), member(b"world")].concat());
        assert_eq!(read.unwrap(), b"hello world");
        assert_eq!(said, ["it is 2 gzip files one behind the other"]);
    }

    #[test]
    fn what_follows_the_end_is_told() {
        let (read, said) = plain(&[member(b"hello"), vec![0; 700]].concat());
        assert_eq!(read.unwrap(), b"hello");
        assert!(said[0].starts_with("700 zeros follow"), "{said:?}");
        let (read, said) = plain(&[member(b"hello"), b"x".to_vec()].concat());
        assert_eq!(read.unwrap(), b"hello");
        assert!(said[0].starts_with("1 bytes that are no gzip follow"), "{said:?}");
    }

    #[test]
    fn every_cut_and_every_flip_is_found_or_does_no_harm() {
        let whole = member(&b"a line of some text\n".repeat(40));
        let wanted = plain(&whole).0.unwrap();
        for length in 0..whole.len() {
            let error = plain(&whole[..length]).0.unwrap_err();
            assert!(error.to_string().contains("before its end"), "{length}: {error}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                if let Ok(read) = plain(&changed).0 {
                    assert!(read == wanted, "byte {at}, bit {bit}: other bytes came out");
                }
            }
        }
    }
}
