-- question: how many members each group has
-- one row: one sentence; few are not counted out
-- example: shown by `xray-mining cohort g2_vs_g3`
select
    string_agg(
        "group" || ' ' || if(members < 10, 'fewer than 10', members::varchar), ', ' order by "group"
    )
    || ' patients, matched by sex and year.' as sentence
from (
    select
        "group",
        count(*) as members
    from chosen_members
    group by "group"
) as groups
having count(*) > 0
