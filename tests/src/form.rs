//! Multipart forms, byte by byte: also those that no well-behaved client sends.

const BORDER: &str = "border-of-parts";

/// A form on its way.
#[derive(Debug, Default, Clone)]
pub struct Form(Vec<u8>);

impl Form {
    /// A part with this disposition, whatever bytes that has.
    #[must_use]
    pub fn raw(mut self, disposition: &[u8], content: &[u8]) -> Self {
        self.0.extend_from_slice(
            format!("--{BORDER}\r\ncontent-disposition: form-data; ").as_bytes(),
        );
        self.0.extend_from_slice(disposition);
        self.0.extend_from_slice(b"\r\n\r\n");
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// A text field.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.raw(format!("name=\"{name}\"").as_bytes(), value.as_bytes())
    }

    /// A file in the field `files`.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let disposition = format!("name=\"files\"; filename=\"{name}\"");
        self.raw(disposition.as_bytes(), content.as_ref())
    }

    /// What to call it.
    pub fn media_type(&self) -> String {
        format!("multipart/form-data; boundary={BORDER}")
    }

    /// All bytes.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{BORDER}--\r\n").as_bytes());
        self.0
    }
}
