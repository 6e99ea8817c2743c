-- question: how many members each group has
-- one row: one sentence
-- example: shown by `xray-mining cohort g2_vs_g3`
select
    string_agg("group" || ' ' || members, ', ' order by "group")
    || ' patients, matched by sex and year.' as sentence
from (
    select
        "group",
        count(*) as members
    from chosen_members
    group by "group"
) as groups
having count(*) > 0
