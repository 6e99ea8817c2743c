-- question: how many members each group has
-- one row: one sentence; small numbers are not shown
-- parameter: $age_band_years integer = 0  width of the age bands that were matched, or none
-- example: shown by `xray-mining cohort g2_vs_g3`
select
    string_agg(
        "group" || ' ' || if(members < 10, 'fewer than 10', members::varchar), ', ' order by "group"
    )
    || ' patients, matched by sex'
    || if($age_band_years > 0, ', age band', '') || ' and year.' as sentence
from (
    select
        "group",
        count(*) as members
    from chosen_members
    group by "group"
) as groups
having count(*) > 0
