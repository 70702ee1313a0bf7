from __future__ import annotations

import json

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import guess_format, read, read_dataset, read_token_tagged

UNIVERSAL = """\
# newdoc
# sent_id = TRDE-1
# text = Das sözlü: sınavım.
1\tDas\tder\tDET\t_\t_\t4\tdet\t_\tCSID=DE|Lang=de
2-3\tsözlü\t_\t_\t_\t_\t_\t_\t_\tCSID=TR|Lang=tr|SpaceAfter=No
2\tsöz\tsöz\tNOUN\t_\t_\t4\tnmod\t_\tCSID=TR|Lang=tr
3\tlü\tli\tADP\t_\t_\t2\tcase\t_\tCSID=TR|Lang=tr
4\t:\t:\tPUNCT\t_\t_\t5\tpunct\t_\tCSID=OTHER
5\tsınavım\tsınav\tNOUN\t_\t_\t0\troot\t_\tLang=tr|SpaceAfter=No
5.1\tnothing\t_\tNOUN\t_\t_\t_\t_\t_\t_
6\t.\t.\tPUNCT\t_\t_\t5\tpunct\t_\t_

1\tNein\tnein\tINTJ\t_\t_\t0\troot\t_\tLangID=DE|SpaceAfter=No
2\t!\t!\tPUNCT\t_\t_\t1\tpunct\t_\t_
"""
LINCE = """\
# sent_enum = 1
yo\tlang2
voy\tlang2
al\tlang2
party\tlang1
:)\tother

# sent_enum = 2
good\tlang1
Anne\tne
!\tother

"""
TAGS = {"lang1": "en", "lang2": "es"}


def test_universal_dependencies_with_language_tags(tmp_path):
    path = tmp_path / "qtd-dev.conllu"
    path.write_text(UNIVERSAL, encoding="utf-8")
    assert guess_format(path) == "tagged"
    first, second = read(path)
    text = first.context[0]
    assert (first.key, text) == ("qtd-dev-TRDE-1", "Das sözlü: sınavım.")
    words = [(text[start:end], language) for start, end, language in first.word_languages]
    assert words == [("Das", "de"), ("sözlü", "tr"), (":", "tr"), ("sınavım", "tr"), (".", "tr")]
    assert first.is_code_switched
    assert (second.context, second.is_code_switched, second.context_language) == (("Nein!",), False, "de")


@pytest.mark.parametrize("name", ["dev.conll", "dev.txt"])
def test_lince_with_its_tags(tmp_path, name):
    path = tmp_path / name
    path.write_text(LINCE, encoding="utf-8")
    first, second = read(path, tags=TAGS)
    assert [language for *_, language in first.word_languages] == ["es", "es", "es", "en", "en"]
    assert (second.context, second.is_code_switched) == (("good Anne !",), False)
    with pytest.raises(DataError, match=r"line 1: has the tag 'lang2'; .* tags=\{'lang2': 'en'\}"):
        list(read(path))


def test_the_hubs_lince_has_words_and_lid():
    row = {"idx": 3, "words": ["good", "Anne", "!"], "lid": ["lang1", "ne", "other"]}
    with pytest.raises(DataError, match="has the tag 'lang1'"):
        list(read_dataset([row], name="lince"))
    (sample,) = read_dataset([row | {"lid": ["en", "ne", "other"]}], name="lince")
    assert (sample.key, sample.is_code_switched) == ("lince-3", False)


@pytest.mark.parametrize("tag", ["other", "OTHER", "ne", "univ", "ambiguous", "unk", "_"])
def test_what_belongs_to_no_language_makes_no_sentence_code_switched(tag):
    row = {"tokens": ["!", "good", "morning", "!"], "csid": [tag, "en", "en", tag]}
    (sample,) = read_dataset([row])
    assert (sample.is_code_switched, sample.context_language) == (False, "en")


@pytest.mark.parametrize("line", ["word", "word\t", "\tlang1", "1\tDas\tder"])
def test_a_line_of_another_shape_is_named(tmp_path, line):
    path = tmp_path / "a.conll"
    path.write_text(f"yo\tes\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.conll, line (2: got|1: has the tag)"):
        list(read(path))


def test_the_real_file_as_conllu_gives_the_same(shared_data, tmp_path):
    source = shared_data / "code_switched" / "sagt_tr_de.dev.sample.jsonl"
    lines = []
    for row in map(json.loads, source.read_text(encoding="utf-8").splitlines()):
        lines += [f"# sent_id = {row['sent_id']}", f"# text = {row['text']}"]
        for number, (token, tag) in enumerate(zip(row["tokens"], row["csid"], strict=True), 1):
            lines.append("\t".join([str(number), token, *["_"] * 7, f"CSID={tag}"]))
        lines.append("")
    path = tmp_path / "sagt_tr_de.conllu"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert list(read_token_tagged(path)) == list(read_token_tagged(source))
