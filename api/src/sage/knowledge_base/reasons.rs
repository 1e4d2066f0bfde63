//! Why a document cannot be searched, in the words of the person who asks. The log has them in English.

use crate::sage::{Text, text};

/// Reasons that are always the same, and what they are in Chinese.
const FIXED: [(&str, &str); 11] = [
    ("the uploaded file is damaged or incomplete", "上传的文件已损坏或不完整"),
    ("the file is empty", "文件为空"),
    ("the file holds no text", "文件中没有文本"),
    (
        "the PDF holds no text, only pictures (a scan has to go through text recognition first)",
        "PDF 中没有文本，只有图片（扫描件需要先进行文字识别）",
    ),
    ("the file is not text in any known encoding", "文件不是可识别编码的文本"),
    (
        "the file unpacks to far more than its size, as archives do that are made to do harm",
        "文件解压后远大于其本身（疑似压缩炸弹）",
    ),
    ("reading the file took too long", "读取文件超时"),
    ("reading the file needs too much memory", "读取文件所需内存过多"),
    ("not a CSV or Excel file", "不是 CSV 或 Excel 文件"),
    ("a table of questions needs two columns: question and answer", "问答表格需要两列：问题和答案"),
    ("all readers are busy", "读取服务繁忙"),
];

/// Reasons that name a number: what stands before and after it, in English and in Chinese.
const OF_A_NUMBER: [(&str, &str, &str, &str); 2] = [
    ("the file holds more than ", " MB of text", "文件中的文本超过 ", " MB"),
    ("the table has more than ", " rows", "表格超过 ", " 行"),
];

/// Reasons about a format: what stands before and after its name, in English and in Chinese.
const OF_A_FORMAT: [(&str, &str, &str, &str); 3] = [
    ("", " files cannot be read", "不支持读取 ", " 文件"),
    ("the ", " file is encrypted: it needs a password", "", " 文件已加密，需要密码"),
    ("the ", " file is damaged or incomplete", "", " 文件已损坏或不完整"),
];

/// A reason in both languages.
pub(super) fn worded(reason: &str) -> Text {
    text(chinese(reason), reason.to_owned())
}

/// A reason in Chinese; one that is not known stays as it is.
pub(super) fn chinese(reason: &str) -> String {
    let fixed = FIXED.iter().find(|(english, _)| *english == reason);
    let fixed = fixed.map(|(_, chinese)| (*chinese).to_owned());
    let with_a_word = || {
        OF_A_NUMBER.iter().chain(&OF_A_FORMAT).find_map(|(before, after, zh_before, zh_after)| {
            let word = reason.strip_prefix(before)?.strip_suffix(after)?;
            Some(format!("{zh_before}{word}{zh_after}"))
        })
    };
    fixed.or_else(with_a_word).unwrap_or_else(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use commands::effects::extract::Unreadable;

    #[test]
    fn every_reason_of_a_reader_has_its_words() {
        let reasons = [
            Unreadable::Empty,
            Unreadable::NoText,
            Unreadable::Scanned,
            Unreadable::Unsupported("ZIP".into()),
            Unreadable::NotText,
            Unreadable::Encrypted("PDF".into()),
            Unreadable::Damaged("Word".into()),
            Unreadable::Bomb,
            Unreadable::TooSlow,
            Unreadable::TooMuchMemory,
            Unreadable::TooMuchText,
            Unreadable::TooManyRows,
        ];
        for reason in reasons.map(|reason| reason.to_string()) {
            assert_ne!(chinese(&reason), reason);
        }
        assert_eq!(chinese("the Word file is damaged or incomplete"), "Word 文件已损坏或不完整");
    }
}
