"""Chinese: no inflection and no spaces; qualities take "很", colours and shapes "是…的"."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Variable, listed
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

NOUNS = {
    "Anne": "安妮",
    "Bob": "鲍勃",
    "Charlie": "查理",
    "Dave": "戴夫",
    "Erin": "艾琳",
    "Fiona": "菲奥娜",
    "Gary": "加里",
    "Harry": "哈利",
    "bald eagle": "白头鹰",
    "bear": "熊",
    "cat": "猫",
    "cow": "奶牛",
    "dog": "狗",
    "lion": "狮子",
    "mouse": "老鼠",
    "rabbit": "兔子",
    "squirrel": "松鼠",
    "tiger": "老虎",
}
# holds, does not hold, before a noun, beside another before a noun
ATTRIBUTES = {
    "big": ("很大", "不大", "大的", "大"),
    "blue": ("是蓝色的", "不是蓝色的", "蓝色的", "蓝"),
    "cold": ("很冷", "不冷", "冷的", "冷"),
    "furry": ("是毛茸茸的", "不是毛茸茸的", "毛茸茸的", "毛茸茸"),
    "green": ("是绿色的", "不是绿色的", "绿色的", "绿"),
    "kind": ("很善良", "不善良", "善良的", "善良"),
    "nice": ("很友好", "不友好", "友好的", "友好"),
    "quiet": ("很安静", "不安静", "安静的", "安静"),
    "red": ("是红色的", "不是红色的", "红色的", "红"),
    "rough": ("很粗糙", "不粗糙", "粗糙的", "粗糙"),
    "round": ("是圆的", "不是圆的", "圆的", "圆"),
    "smart": ("很聪明", "不聪明", "聪明的", "聪明"),
    "white": ("是白色的", "不是白色的", "白色的", "白"),
    "young": ("很年轻", "不年轻", "年轻的", "年轻"),
}
# holds, does not hold
RELATIONS = {
    "chase": ("追赶", "不追赶"),
    "eat": ("吃", "不吃"),
    "like": ("喜欢", "不喜欢"),
    "need": ("需要", "不需要"),
    "see": ("看得见", "看不见"),
    "visit": ("拜访", "不拜访"),
}


class Chinese(Grammar):
    code = "zh"
    conditional = "如果{}，那么{}"
    also = "，并且"
    along = "并且"
    stop = "。"
    someone = Variable(Mention("某个人"), Mention("这个人"), Mention("他"))
    something = Variable(Mention("某个东西"), Mention("这个东西"), Mention("它"))

    def named(self, entity: Entity) -> Mention:
        return Mention(NOUNS[entity.name])

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        return who.text + self.predicate(literals)

    def predicate(self, literals: tuple[Literal, ...]) -> str:
        """Return what is said of the subject."""
        first = literals[0]
        if first.object is not None:
            return RELATIONS[first.predicate][not first.positive] + NOUNS[first.object.name]
        return listed([ATTRIBUTES[one.predicate][not one.positive] for one in literals], "而且", "、")

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        given = ATTRIBUTES[attributes[0]][2]
        if len(attributes) > 1:
            # 红色的、白色的东西 could be red things and white things.
            given = "既" + "又".join(ATTRIBUTES[attribute][3] for attribute in attributes) + "的"
        noun = "人" if people else "东西"
        return f"{'所有' if every else ''}{given}{noun}{'都' if every else ''}{self.predicate((conclusion,))}"


GRAMMAR = Chinese()
