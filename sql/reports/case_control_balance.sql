-- question: how similar cases and controls are
-- one row: one sentence; groups of few patients are not described
-- example: shown by `xray-mining cohort case_control`
with
described as (
    select
        chosen_members.*,
        images.archive,
        images.institution_key
    from chosen_members
    inner join images on chosen_members.image_key = images.image_key
),

counted as (
    select
        "group",
        count(*) as patients,
        round(avg(age_years), 1) as mean_age,
        round(100 * avg((patient_sex = 'M')::int))::int as males,
        round(100 * avg((view_position = 'PA')::int))::int as pa,
        round(avg(study_year), 1) as mean_year,
        count(distinct archive) as archives,
        count(distinct institution_key) as sites,
        count(*) filter (where institution_key is null) as without_site
    from described
    group by "group"
)

select
    case
        when patients < 10 then "group" || ': fewer than 10 patients, too few to be described.'
        else
            "group" || ': ' || patients || ' patients, mean age ' || mean_age || ' years, '
            || case
                when males between 1 and 99 and least(males, 100 - males) * patients < 1000
                    then 'few of one sex'
                else males || ' % males'
            end
            || ', '
            || case
                when pa between 1 and 99 and least(pa, 100 - pa) * patients < 1000
                    then 'few of one view'
                else pa || ' % PA'
            end
            || ', mean year ' || coalesce(mean_year::varchar, 'unknown') || '; '
            || sites || if(sites = 1, ' site of ', ' sites of ')
            || archives || if(archives = 1, ' archive, ', ' archives, ')
            || case
                when without_site = 0 then 'none'
                when without_site < 10 then 'few'
                else without_site::varchar
            end
            || ' without a site.'
    end as sentence
from counted
order by sentence
