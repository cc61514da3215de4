"""Words that never make a phrase: function words of a few languages, words of log lines, keywords of programs."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH = _words(
    """a about above after again against ago all almost along already also although always am among an and another any
    anyone anything are aren't around as at away back be became because become been before began being below
    best better between both but by call came can can't cannot come could couldn't day did didn't do does
    doesn't doing don't done down due during each either else enough etc even ever every everyone example far
    few first five following for four from further gave get gets getting give given go goes going gone got had
    hadn't has hasn't have haven't having he her here hers him his how however i i'd i'll i'm i've if in indeed
    instead into is isn't it it's its itself just keep kept know known large last later least less let let's
    like likely long made make makes making many may maybe me mean means might mine more most much must mustn't
    my myself near need needs never new next no nor not nothing now of off often old on once one ones only onto
    or other others otherwise our ours out over own part per perhaps please put quite rather really right said
    same saw say says second see seen several shall she should shouldn't show shown since small so some
    something soon still such take taken takes than that that's the their them then there there's these they
    they're thing things third this those though three through thus time to together too took toward towards two
    under unless until up upon us use used uses using usually various very via want was wasn't way we we're well
    went were weren't what what's when where whether which while who whom whose why will with within without
    won't would wouldn't year years yes yet you you're your yours yourself"""
)
OTHER_LANGUAGES = _words(
    """aber als am an auch auf aus bei bis das dass dem den der des die doch durch ein eine einem einen einer eines er
    es für hat ich im in ist ja kann mit nach nicht noch nur oder sich sie sind so über um und uns von vor war
    was wenn wie wir wird zu zum zur au aux avec ce ces cette dans de des du elle en est et il ils je la le les
    leur lui mais ne nous on ou où par pas pour qu que qui sa se ses son sont sur un une vous al como con cuando
    de del el ella en es esta este la las lo los más no o para pero por que se ser sin su sus un una y ya che di
    è gli ha i il non per più si sono tra dei della delle"""
)
# Level names and field names say nothing of what happened; months and weekdays stand in every timestamp.
LOG_WORDS = _words(
    """trace debug info information notice warn warning error err fatal critical severe alert emerg emergency level msg
    message log logger thread main pid tid ts timestamp http https www com org net html htm php jpg png gif css
    js utc gmt am pm jan feb mar apr may jun jul aug sep oct nov dec mon tue wed thu fri sat sun mozilla
    compatible khtml like gecko applewebkit safari chrome firefox null none true false"""
)
CODE_WORDS = _words(
    """abstract and args as assert async await bool boolean break byte bytes case catch char class cls const continue
    def default del delete dict do double elif else end enum except export extends false final finally float fn
    for from func function global goto if impl implements import in include init instanceof int interface is
    isinstance kwargs lambda len let list long match mut namespace new none nonlocal not null object or package
    param params pass print private property protected pub public raise range repr return returns rtype self set
    short static str string struct super switch this throw throws true try tuple type typedef typing union
    unsigned use using val value values var void while with yield"""
)
STOP_WORDS = ENGLISH | OTHER_LANGUAGES
