//! Header blocks: pairs with lengths, compressed by one zlib stream a direction that lives as long as the session.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{Error, Headers, dictionary};

/// The largest block after decompression. Kubernetes' headers have a few dozen bytes.
const MAX_BLOCK: usize = 64 << 10;

/// Compresses the blocks of one direction.
#[derive(Debug)]
pub(crate) struct Encoder {
    zlib: Compress,
}

impl Encoder {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut zlib = Compress::new(Compression::default(), true);
        zlib.set_dictionary(&dictionary::bytes())
            .map_err(|_| Error::Protocol("header compression is not available"))?;
        Ok(Self { zlib })
    }

    pub(crate) fn encode(&mut self, headers: &Headers) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        put_u32(&mut plain, headers.len())?;
        for (name, value) in headers {
            for text in [name.to_ascii_lowercase().as_bytes(), value.as_bytes()] {
                put_u32(&mut plain, text.len())?;
                plain.extend_from_slice(text);
            }
        }
        let mut block = Vec::with_capacity(plain.len() + 64);
        let before = self.zlib.total_in();
        loop {
            let read = usize::try_from(self.zlib.total_in() - before).unwrap_or(plain.len());
            let status = self
                .zlib
                .compress_vec(&plain[read..], &mut block, FlushCompress::Sync)
                .map_err(|_| Error::Protocol("header compression failed"))?;
            // A full buffer may hide more output.
            if status != Status::BufError && block.len() < block.capacity() {
                return Ok(block);
            }
            block.reserve(256);
        }
    }
}

/// Decompresses the blocks of the other direction.
#[derive(Debug)]
pub(crate) struct Decoder {
    zlib: Decompress,
    has_dictionary: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { zlib: Decompress::new(true), has_dictionary: false }
    }

    pub(crate) fn decode(&mut self, block: &[u8]) -> Result<Headers, Error> {
        let plain = self.inflate(block)?;
        let mut rest = plain.as_slice();
        let count = take_u32(&mut rest)?;
        let mut headers = Headers::new();
        for _ in 0..count {
            let name = take_text(&mut rest)?;
            let value = take_text(&mut rest)?;
            // Several values of one name are joined by a zero byte.
            headers.extend(value.split('\0').map(|one| (name.clone(), one.to_owned())));
        }
        Ok(headers)
    }

    fn inflate(&mut self, block: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::with_capacity(1024);
        let before = self.zlib.total_in();
        loop {
            let read = usize::try_from(self.zlib.total_in() - before).unwrap_or(block.len());
            match self.zlib.decompress_vec(&block[read..], &mut plain, FlushDecompress::Sync) {
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() && !self.has_dictionary => {
                    let set = self.zlib.set_dictionary(&dictionary::bytes());
                    set.map_err(|_| Error::Protocol("header block with another dictionary"))?;
                    self.has_dictionary = true;
                    continue;
                }
                Err(_) => return Err(Error::Protocol("header block does not decompress")),
            }
            if plain.len() > MAX_BLOCK {
                return Err(Error::Protocol("header block is too large"));
            }
            let read = usize::try_from(self.zlib.total_in() - before).unwrap_or(block.len());
            if read >= block.len() && plain.len() < plain.capacity() {
                return Ok(plain);
            }
            plain.reserve(1024);
        }
    }
}

fn put_u32(buffer: &mut Vec<u8>, value: usize) -> Result<(), Error> {
    let value = u32::try_from(value).map_err(|_| Error::Protocol("header is too large"))?;
    buffer.extend_from_slice(&value.to_be_bytes());
    Ok(())
}

fn take_u32(rest: &mut &[u8]) -> Result<usize, Error> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or(Error::Protocol("header block is cut off"))?;
    *rest = tail;
    usize::try_from(u32::from_be_bytes(*head)).map_err(|_| Error::Protocol("header block is too large"))
}

fn take_text(rest: &mut &[u8]) -> Result<String, Error> {
    let length = take_u32(rest)?;
    if length > rest.len() {
        return Err(Error::Protocol("header block is cut off"));
    }
    let (text, tail) = rest.split_at(length);
    *rest = tail;
    String::from_utf8(text.to_vec()).map_err(|_| Error::Protocol("header is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn blocks_of_one_session_survive_the_way_there_and_back() {
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new());
        for number in 0..50 {
            let sent = headers(&[("streamtype", "stdin"), ("port", &number.to_string()), ("requestid", "")]);
            assert_eq!(decoder.decode(&encoder.encode(&sent).unwrap()).unwrap(), sent);
        }
        let long = headers(&[("x", &"y".repeat(5000))]);
        assert_eq!(decoder.decode(&encoder.encode(&long).unwrap()).unwrap(), long);
    }

    #[test]
    fn names_travel_in_lower_case() {
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new());
        let block = encoder.encode(&headers(&[("StreamType", "Error")])).unwrap();
        assert_eq!(decoder.decode(&block).unwrap(), headers(&[("streamtype", "Error")]));
    }

    #[test]
    fn garbage_and_bombs_are_refused() {
        assert!(Decoder::new().decode(b"not zlib at all").is_err());
        let mut encoder = Encoder::new().unwrap();
        let bomb = encoder.encode(&headers(&[("x", &"y".repeat(1 << 20))])).unwrap();
        assert!(bomb.len() < 16 << 10);
        assert!(Decoder::new().decode(&bomb).is_err());
    }
}
