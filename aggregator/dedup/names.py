"""Names and subjects that Chinese and English reports share: what pairs a story across the two languages.

One line each: weight, Chinese names, English names. The weight says how much a shared mention tells of the event:
4 for a person or a thing of its own, 1 for a country that is in the news every day. Lower case; Chinese simplified.
"""

from __future__ import annotations

import re
from functools import cache

_LINES = """
1 中国 大陆 中方 北京 | china chinese beijing
1 美国 美方 华盛顿 白宫 | united states american u.s. washington white house america
1.5 英国 英方 伦敦 | britain british uk united kingdom london
1.5 欧盟 欧洲联盟 布鲁塞尔 | european union eu brussels
1.5 法国 巴黎 | france french paris
1.5 德国 柏林 | germany german berlin
1.5 俄罗斯 俄国 莫斯科 克里姆林宫 | russia russian moscow kremlin
1.5 日本 东京 | japan japanese tokyo
2 韩国 首尔 | south korea korean seoul
2.5 朝鲜 平壤 | north korea pyongyang
2 印度 新德里 | india indian delhi
1.5 台湾 台北 | taiwan taiwanese taipei
1.5 香港 | hong kong
2.5 澳门 | macau macao
2 澳大利亚 澳洲 堪培拉 | australia australian canberra
2 加拿大 渥太华 | canada canadian ottawa
3 新西兰 纽西兰 | new zealand
2.5 意大利 罗马 | italy italian rome
2.5 西班牙 马德里 | spain spanish madrid
3 葡萄牙 | portugal portuguese
3 荷兰 海牙 | netherlands dutch hague
3 比利时 | belgium belgian
3 瑞士 日内瓦 | switzerland swiss geneva
3 瑞典 | sweden swedish stockholm
3 挪威 | norway norwegian oslo
3 丹麦 | denmark danish copenhagen
3 芬兰 | finland finnish helsinki
3 波兰 华沙 | poland polish warsaw
3 匈牙利 | hungary hungarian budapest
3 捷克 布拉格 | czech prague
3 希腊 雅典 | greece greek athens
2.5 土耳其 安卡拉 | turkey turkish turkiye ankara
2 乌克兰 基辅 | ukraine ukrainian kyiv kiev
3 白俄罗斯 | belarus minsk
2 以色列 耶路撒冷 | israel israeli jerusalem
2.5 巴勒斯坦 加沙 | palestinian palestine gaza
2.5 哈马斯 | hamas
2.5 伊朗 德黑兰 | iran iranian tehran
3 伊拉克 巴格达 | iraq iraqi baghdad
3 叙利亚 | syria syrian damascus
3 也门 胡塞 | yemen houthi
2.5 沙特 沙特阿拉伯 利雅得 | saudi arabia riyadh
3 阿联酋 迪拜 阿布扎比 | emirates uae dubai abu dhabi
3 卡塔尔 多哈 | qatar doha
3 埃及 开罗 沙姆沙伊赫 | egypt egyptian cairo sharm
3 阿富汗 塔利班 | afghanistan afghan taliban kabul
2.5 巴基斯坦 | pakistan pakistani islamabad
3 缅甸 | myanmar burma
2.5 越南 河内 | vietnam vietnamese hanoi
2.5 泰国 曼谷 | thailand thai bangkok
2.5 菲律宾 马尼拉 | philippines philippine manila
2.5 印尼 印度尼西亚 雅加达 巴厘岛 | indonesia indonesian jakarta bali
2.5 马来西亚 吉隆坡 | malaysia malaysian
2.5 新加坡 | singapore
3 柬埔寨 | cambodia
3 老挝 | laos
3 湄公河 澜沧江 | mekong lancang
3 斯里兰卡 | sri lanka
3 蒙古国 | mongolia
3 哈萨克斯坦 | kazakhstan
2.5 巴西 | brazil brazilian
3 阿根廷 | argentina
3 秘鲁 利马 | peru peruvian lima
3 智利 | chile chilean
2.5 墨西哥 | mexico mexican
3 古巴 | cuba cuban
3 委内瑞拉 | venezuela
3 哥伦比亚 | colombia
2.5 南非 | south africa
3 尼日利亚 | nigeria
3 肯尼亚 内罗毕 | kenya nairobi
3 埃塞俄比亚 | ethiopia
3 摩洛哥 | morocco
2 上海 | shanghai
2.5 深圳 | shenzhen
2.5 广州 | guangzhou
3 武汉 | wuhan
2.5 新疆 维吾尔 | xinjiang uyghur uighur
2.5 西藏 达赖 | tibet tibetan dalai
3 纽约 | new york
3 加州 加利福尼亚 | california californian
4 格拉斯哥 | glasgow
4.5 阳光之乡 安纳伯格 | sunnylands
3.5 旧金山 | san francisco
3 柏林墙 | berlin wall
3 习近平 习主席 | xi jinping xi
3.5 李克强 | li keqiang
3.5 李强 | li qiang
3 王毅 | wang yi
4 解振华 | xie zhenhua
4 刘振民 | liu zhenmin
4 韩正 | han zheng
4 丁薛祥 | ding xuexiang
2.5 拜登 | biden
2.5 特朗普 川普 | trump
3.5 哈里斯 贺锦丽 | harris
3.5 布林肯 | blinken
4 克里 凯瑞 | kerry
4 波德斯塔 | podesta
4 耶伦 | yellen
4 彭斯 | pence
4 蓬佩奥 庞培欧 | pompeo
3 普京 普丁 | putin
3 泽连斯基 泽伦斯基 | zelensky zelenskyy
3.5 马克龙 | macron
3.5 默克尔 梅克尔 | merkel
3.5 朔尔茨 肖尔茨 | scholz
4 约翰逊 强生 | boris johnson
4 苏纳克 | sunak
4 冯德莱恩 范德赖恩 | von der leyen leyen
3.5 莫迪 | modi
4 岸田 | kishida
4 菅义伟 | suga
4 安倍 | abe
4 文在寅 | moon jae-in
4 尹锡悦 | yoon suk yeol yoon
4 金正恩 | kim jong un
3.5 内塔尼亚胡 | netanyahu
4 埃尔多安 艾尔段 | erdogan
4 古特雷斯 | guterres
3.5 谭德塞 | tedros
3.5 蔡英文 | tsai ing-wen tsai
4 赖清德 | lai ching-te
4 林郑月娥 | carrie lam
4 李家超 | john lee
4 黎智英 | jimmy lai
4 黄之锋 | joshua wong
4 孟晚舟 | meng wanzhou
4 马斯克 | musk
4 马云 | jack ma
4 卢拉 | lula
4 阿尔班尼斯 | albanese
4 莫里森 | morrison
4 特鲁多 杜鲁多 | trudeau
3 联合国 | united nations u.n.
3 世卫 世界卫生组织 | world health organization
3 世贸 世界贸易组织 | wto world trade organization
3.5 国际货币基金组织 | imf international monetary fund
3.5 世界银行 | world bank
3 北约 | nato
3 二十国集团 | g20
3 七国集团 | g7
3.5 金砖 | brics
3.5 东盟 | asean
3.5 亚太经合组织 | apec
3.5 国际能源署 | iea international energy agency
3.5 国际原子能机构 | iaea
4 政府间气候变化专门委员会 | ipcc
3 美联储 联准会 | federal reserve fed
3 欧洲央行 | ecb european central bank
3 最高法院 | supreme court
3 国会 众议院 参议院 | congress senate house of representatives
3 五角大楼 国防部 | pentagon
3 外交部 | foreign ministry
3 生态环境部 | ministry of ecology
4 欧佩克 石油输出国组织 | opec
3 华为 | huawei
3.5 阿里巴巴 | alibaba
3.5 腾讯 | tencent
3.5 抖音 字节跳动 | tiktok bytedance
3.5 苹果公司 | apple
3 谷歌 | google
3.5 脸书 | facebook meta
3.5 推特 | twitter
3.5 微软 | microsoft
3.5 特斯拉 | tesla
3.5 波音 | boeing
3.5 空客 | airbus
3.5 辉瑞 | pfizer
3.5 莫德纳 | moderna
3.5 阿斯利康 | astrazeneca
3.5 中芯国际 | smic
4 恒大 | evergrande
2 气候变化 气候危机 气候 全球变暖 | climate warming
3 甲烷 | methane
2.5 温室气体 二氧化碳 碳排放 排放 | emissions greenhouse carbon
3 煤炭 煤电 燃煤 | coal
3 化石燃料 | fossil fuel fossil fuels
3 可再生能源 | renewable renewables
3.5 碳中和 净零 | carbon neutral neutrality net zero net-zero
3.5 巴黎协定 | paris agreement
4 第二十六届 第26届 26次缔约方 | cop26
4 第二十七届 第27届 | cop27
4 第二十八届 第28届 | cop28
4 第二十九届 第29届 | cop29
4 第三十届 第30届 | cop30
3 毁林 森林砍伐 | deforestation
3.5 塑料污染 塑料 | plastic plastics
3 工作组 | working group
2.5 联合宣言 联合声明 宣言 | declaration joint statement
2.5 声明 | statement
2.5 峰会 | summit
2.5 特使 | envoy
2 疫苗 | vaccine vaccines vaccination
2 新冠 冠病 肺炎 疫情 | covid covid-19 coronavirus pandemic
2 贸易 | trade
3 关税 | tariff tariffs
2.5 制裁 | sanctions sanction
2.5 选举 大选 投票 | election vote elections
2.5 谈判 会谈 磋商 | talks negotiations
2.5 脱欧 退欧 | brexit
3 地震 | earthquake quake
3 台风 飓风 | typhoon hurricane
3 洪水 洪灾 水灾 | flood floods flooding
3 火灾 大火 山火 | fire wildfire wildfires blaze
3 爆炸 | explosion blast
3.5 坠机 空难 | plane crash
3 枪击 枪手 | shooting gunman
3 导弹 飞弹 | missile missiles
3 核武 核武器 | nuclear weapons nuclear
3 停火 | ceasefire truce
3 人质 | hostages hostage
3 军演 演习 | drills exercises
3 芯片 半导体 | chip chips semiconductor semiconductors
3 通胀 通货膨胀 | inflation
3 利率 加息 降息 | interest rates
3 黑客 网络攻击 | hackers hackers cyberattack hack
3 反垄断 | antitrust anti-monopoly monopoly
3 罚款 | fined
3.5 诺贝尔 | nobel
3.5 奥运 | olympic olympics
3.5 月球 登月 嫦娥 | lunar chang'e
3.5 火箭 卫星 | rocket satellite
3 抗议 示威 | protest protests protesters
3 弹劾 | impeachment
3 辞职 | resign resigned resigns resignation
3 逝世 去世 病逝 | died dies death
3 逮捕 被捕 拘留 | arrested detained arrest
3 国安法 | national security law
"""


@cache
def catalogue() -> tuple[dict[str, int], dict[str, int], tuple[float, ...]]:
    """Chinese names, English names (as written above) and the weights: each name gives the number of its line."""
    han: dict[str, int] = {}
    latin: dict[str, int] = {}
    weights = []
    for number, line in enumerate(_LINES.strip().splitlines()):
        weight, names, english = re.fullmatch(r"([\d.]+) ([^|]+) \| (.+)", line).groups()  # type: ignore[union-attr]
        weights.append(float(weight))
        han |= dict.fromkeys(names.split(), number)
        latin |= dict.fromkeys(_english(english), number)
    return han, latin, tuple(weights)


def _english(words: str) -> list[str]:
    """Single words, and the phrases of two and three neighbours that are written with capitals in English."""
    found = [phrase for phrase in _PHRASES if phrase in words]
    rest = words
    for phrase in found:
        rest = rest.replace(phrase, " ")
    return found + rest.split()


_PHRASES = (
    "house of representatives", "world health organization", "world trade organization", "international monetary fund",
    "international energy agency", "european central bank", "national security law", "ministry of ecology", "yoon suk yeol",
    "kim jong un", "von der leyen", "united states", "white house", "united kingdom", "european union", "south korea", "north korea",
    "hong kong", "new zealand", "saudi arabia", "abu dhabi", "sri lanka", "south africa", "new york", "san francisco", "berlin wall",
    "xi jinping", "li keqiang", "li qiang", "wang yi", "xie zhenhua", "liu zhenmin", "han zheng", "ding xuexiang", "boris johnson",
    "moon jae-in", "tsai ing-wen", "lai ching-te", "carrie lam", "john lee", "jimmy lai", "joshua wong", "meng wanzhou", "jack ma",
    "united nations", "world bank", "federal reserve", "supreme court", "foreign ministry", "carbon neutral", "net zero",
    "paris agreement", "working group", "joint statement", "plane crash", "nuclear weapons", "interest rates", "fossil fuels",
    "fossil fuel",
)  # fmt: skip
